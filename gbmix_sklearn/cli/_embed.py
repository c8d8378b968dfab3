"""``gbmix embed``: images to numbers, with a frozen backbone."""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated

import typer

from .._files import replace_file
from ._console import tell, tell_warning
from ._formulas import warn_of_formulas
from ._images import read_images
from ._options import CacheDir, Device, ImageColumn, OnError, Quiet, Root
from ._tables import check_table_name, check_writable, write_table

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["embed"]

#: what would be a path, or part of one, in the name of a member of an archive
_PATH = re.compile(r"[/\\:\x00-\x1f]|^\.+")


def embed(
    data: Annotated[
        str, typer.Argument(metavar="DATA", help="A folder of images, or a table with their paths.")
    ],
    output: Annotated[
        str,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to .npz, .parquet, .csv or .tsv: the rows of the table and their "
            "embeddings.",
        ),
    ],
    images: ImageColumn = None,
    root: Root = None,
    backbone: Annotated[
        str, typer.Option(metavar="NAME", help="A model of timm's.")
    ] = "tf_efficientnet_lite0",
    image_size: Annotated[
        int | None,
        typer.Option(min=1, help="Pixels of the square that is embedded; else the backbone's own."),
    ] = None,
    batch_size: Annotated[
        int | None, typer.Option(min=1, help="Images embedded at once; else what fits.")
    ] = None,
    value_range: Annotated[
        tuple[float, float] | None,
        typer.Option(
            metavar="LOW HIGH",
            help="Values that become black and white, of images of more than 8 bits.",
        ),
    ] = None,
    device: Device = "auto",
    cache_dir: CacheDir = None,
    on_error: OnError = "raise",
    quiet: Quiet = False,
) -> None:
    """Embed images with a frozen backbone, once, for gbmix fit or any other program.

    gbmix embed faces.csv --images path -o faces.parquet
    """
    is_npz = Path(output.lower()).suffix == ".npz"
    if not is_npz:
        check_table_name(output)
    check_writable(output)
    frame, paths = read_images(data, images, root, all_there=on_error == "raise")
    tell(f"embedding {len(paths):,} images with {backbone}")

    import numpy as np

    from ..backbones import TimmEmbedder
    from ..exceptions import SkippedImagesWarning

    embedder = TimmEmbedder(
        backbone,
        image_size=image_size,
        batch_size=batch_size or "auto",
        value_range=value_range,
        device=device,
        cache_dir=cache_dir,
        on_error=on_error,
        verbose=0 if quiet else 1,
    )
    if is_npz:
        _members(frame)
    else:
        _check_free(frame, _names(len(embedder.get_feature_names_out())))
    with warnings.catch_warnings():
        # its advice is about arrays in Python
        warnings.simplefilter("ignore", SkippedImagesWarning)
        embeddings = embedder.transform(paths)
    skipped = np.isnan(embeddings).any(axis=1)
    if skipped.any():
        names = [paths[row] or f"row {row}" for row in np.flatnonzero(skipped).tolist()]
        tell_warning(
            f"{len(names)} of {len(paths)} images cannot be read and are left out: "
            + ", ".join(names)
        )
        frame, embeddings = frame[~skipped], embeddings[~skipped]
    if is_npz:
        _write_npz(output, frame, embeddings)
    else:
        warn_of_formulas(output, frame)
        write_table(output, _with_embeddings(frame, embeddings))
    n_rows, n_features = embeddings.shape
    tell(f"wrote {n_rows:,} rows of {n_features:,} features to {output}")


def _names(n_features: int) -> list[str]:
    return [f"embedding_{number}" for number in range(n_features)]


def _check_free(frame: pd.DataFrame, names: list[str]) -> None:
    taken = [name for name in names if name in frame.columns]
    if taken:
        raise ValueError(f"the table has a column {taken[0]!r} already; rename it, or write .npz")


def _with_embeddings(frame: pd.DataFrame, embeddings: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    numbers = pd.DataFrame(embeddings, columns=_names(embeddings.shape[1]), index=frame.index)
    return pd.concat([frame, numbers], axis=1)


def _members(frame: pd.DataFrame) -> dict[str, str]:
    """Names that the columns have in an archive, which may be unpacked."""
    members: dict[str, str] = {}
    for name in frame.columns:
        member = _PATH.sub("_", str(name))
        if member == "embeddings":
            raise ValueError(
                f"the table has a column {name!r} already; rename it, or write .parquet"
            )
        if member in members:
            raise ValueError(f"the table has two columns {member!r} in an .npz; rename one")
        members[member] = name
    return members


def _write_npz(output: str, frame: pd.DataFrame, embeddings: np.ndarray) -> None:
    """Write an array for each column; text as text, so that nothing needs pickle to be read."""
    arrays = {"embeddings": embeddings}
    arrays |= {member: _array(frame[name]) for member, name in _members(frame).items()}
    replace_file(Path(output), lambda file: _save_arrays(file, arrays))


def _array(column: pd.Series) -> np.ndarray:
    values = column.to_numpy()
    if values.dtype.kind in "biuf":
        return values
    return column.astype(object).fillna("").map(str).to_numpy(dtype=str)


def _save_arrays(file: IO[bytes], arrays: dict[str, np.ndarray]) -> None:
    """Do what ``numpy.savez`` does, which takes no array with the name ``file``."""
    from numpy.lib.format import write_array

    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                write_array(entry, array, allow_pickle=False)
