"""Tables in files: CSV, TSV and Parquet, read strictly and written whole."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import typer

from .._files import replace_file

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "COUNTED",
    "STDIO",
    "Table",
    "check_complete",
    "check_table_name",
    "check_writable",
    "is_parquet",
    "write_table",
]

#: what messages say of the numbers of rows
COUNTED = "rows are counted from 0, below the header"
#: the name of standard input, or output
STDIO = "-"

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_PARQUET = (".parquet", ".pq")
#: what reading a damaged file raises beside pandas' own errors
_BROKEN = (csv.Error, gzip.BadGzipFile, zlib.error, EOFError)
_QUOTE = "A field with a comma or a line break in it must stand in double quotes"


class Table:
    """A table in a file, or on standard input as CSV.

    Parameters
    ----------
    name : str
        The file; ``-`` is standard input.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If its name does not say what it is.
    """

    def __init__(self, name: str):
        self.where = "standard input" if name == STDIO else name
        self.is_parquet = is_parquet(name)
        self._separator = "," if name == STDIO else _SEPARATORS.get(_suffix(name), ",")
        if name == STDIO:
            self._content: bytes | None = typer.get_binary_stream("stdin").read()
            return
        check_table_name(name)
        self.path = Path(name)
        self._content = None
        if not self.path.exists():
            raise FileNotFoundError(f"there is no file {name}{_similar_file(self.path)}")
        if self.path.is_dir():
            raise IsADirectoryError(f"{name} is a folder; give a .csv, .tsv or .parquet file")

    @cached_property
    def columns(self) -> list[str]:
        """Names of the columns."""
        if self.is_parquet:
            return self._schema.names
        for _, fields in self._lines():
            return fields
        raise ValueError(f"{self.where} is empty: its first line must name the columns")

    @property
    def folder(self) -> Path:
        """Where relative paths in the table start from."""
        return Path() if self._content is not None else self.path.parent

    def read(
        self,
        columns: Sequence[str] | None = None,
        labels: Sequence[str] = (),
        numbers: Sequence[str] = (),
    ) -> pd.DataFrame:
        """Read the table; all that is in a CSV file is text, for a schema to make more of it.

        Parameters
        ----------
        columns : sequence of str, default=None
            The columns wanted; None is all.
        labels : sequence of str, default=()
            Columns of classes or groups: text with its spelling, as pandas' categories, numbers
            among them in the order of their values. Only empty fields are missing.
        numbers : sequence of str, default=()
            Columns that must be numbers.

        Raises
        ------
        ValueError
            If the file is malformed; the message names file, line and what is wrong.
        """
        wanted = self.columns if columns is None else list(dict.fromkeys(columns))
        double = [name for name in wanted if self.columns.count(name) > 1]
        if double:
            raise ValueError(f"{self.where} has several columns {double[0]!r}; rename all but one")
        if self.is_parquet:
            frame = self._read_parquet(wanted, labels)
        else:
            kinds = {name: "str" for name in wanted if name not in numbers}
            frame = self._read_csv(dtype=kinds, keep_default_na=False, na_values=[""])
            self._check_short_lines(frame)
            frame = frame[wanted]
        for name in numbers:
            if frame[name].dtype.kind not in "biuf":
                raise ValueError(f"{self.where}: column {name!r} must have numbers alone")
        return frame.assign(**{name: _as_labels(frame[name]) for name in labels})

    def read_text(self) -> pd.DataFrame:
        """Read all fields of a CSV file as the text that they are, to be written again."""
        return self._read_csv(dtype=str, keep_default_na=False)

    # ------------------------------------------------------------------ CSV

    def _read_csv(self, **options: Any) -> pd.DataFrame:
        import pandas as pd

        first = next(islice(self._lines(), 1, None), None)
        if first is not None and len(first[1]) > len(self.columns):  # pandas takes it, shifted
            raise ValueError(
                f"{self.where}: the first line below the header has more fields than the header. "
                f"{_QUOTE}"
            )
        try:
            # All columns are read, also those that nobody wants: told to leave some out, pandas
            # takes lines that have too many fields, whose columns have shifted.
            with self._open() as file:
                frame = pd.read_csv(
                    file, sep=self._separator, index_col=False, low_memory=False, **options
                )
        except pd.errors.ParserError as error:
            message = str(error).removeprefix("Error tokenizing data. C error: ").strip()
            raise ValueError(f"{self.where}: {message}. {_QUOTE}") from error
        except (UnicodeDecodeError, *_BROKEN) as error:
            raise self._unreadable(error) from error
        frame.columns = pd.Index(self.columns)  # pandas renames those without a name
        return frame

    def _check_short_lines(self, frame: pd.DataFrame) -> None:
        # pandas fills short lines up, whose fields may have shifted: the last one is then missing
        if not len(frame) or not frame.iloc[:, -1].isna().any():
            return
        width = len(self.columns)
        for number, fields in self._lines():
            if len(fields) < width:
                raise ValueError(
                    f"{self.where}: line {number} has {len(fields)} fields, and the header has "
                    f"{width}"
                )

    def _lines(self) -> Iterator[tuple[int, list[str]]]:
        """Number and fields of each line that has any."""
        try:
            with self._open() as file, io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
                reader = csv.reader(text, delimiter=self._separator)
                yield from ((reader.line_num, fields) for fields in reader if fields)
        except (UnicodeDecodeError, *_BROKEN) as error:
            raise self._unreadable(error) from error

    def _open(self) -> IO[bytes]:
        if self._content is not None:
            return io.BytesIO(self._content)
        if self.path.suffix == ".gz":
            return gzip.open(self.path)  # type: ignore[return-value]
        return self.path.open("rb")

    def _unreadable(self, error: Exception) -> ValueError:
        if isinstance(error, UnicodeDecodeError):
            byte = error.object[error.start]
            return ValueError(
                f"{self.where} is not UTF-8 text, it has a byte {byte:#x}: convert it"
            )
        return ValueError(f"{self.where} cannot be read: {error}")

    # ------------------------------------------------------------------ Parquet

    @cached_property
    def _schema(self) -> pa.Schema:
        return self._parquet(lambda parquet: parquet.read_schema(self.path))

    def _read_parquet(self, columns: Sequence[str], labels: Sequence[str]) -> pd.DataFrame:
        from pyarrow import types

        # text as codes, which is how the file has it: a column of a million labels is read and
        # counted several times faster
        coded = [
            name
            for name in columns
            if name in labels
            and (
                types.is_string(self._schema.field(name).type)
                or types.is_large_string(self._schema.field(name).type)
            )
        ]
        table = self._parquet(
            # not read_table: it is for folders as well, and takes long to load
            lambda parquet: parquet.ParquetFile(self.path, read_dictionary=coded).read(columns)
        )
        return table.to_pandas(ignore_metadata=True)[list(columns)]

    def _parquet(self, read: Any) -> Any:
        parquet = _import_parquet()
        import pyarrow as pa

        try:
            return read(parquet)
        except (pa.ArrowException, OSError) as error:
            raise ValueError(f"{self.where} cannot be read as Parquet: {error}") from error


def _as_labels(column: pd.Series) -> pd.Series:
    """Labels of any type as categories of text, in the order that the file has, or else sorted."""
    from ..tables._values import in_order, text_of

    if column.dtype != "category":
        column = column.astype("category")
    values = column.cat.categories
    texts = [value if isinstance(value, str) else text_of(value) for value in values]
    column = column.cat.rename_categories(texts)
    return column if column.cat.ordered else column.cat.reorder_categories(in_order(texts))


def check_complete(frame: pd.DataFrame, columns: Sequence[str], where: str, cure: str) -> None:
    """Check that columns have no missing values.

    Raises
    ------
    ValueError
        If one has; the message names file, column and row.
    """
    if not len(frame):
        raise ValueError(f"{where} has no rows")
    for name in columns:
        missing = frame[name].isna().to_numpy()
        if missing.any():
            raise ValueError(
                f"{where}: column {name!r} has {missing.sum()} missing value(s), the first in row "
                f"{missing.argmax()} ({COUNTED}). {cure}"
            )


def check_table_name(name: str) -> None:
    """Check that the name of a file says which kind of table it holds.

    Raises
    ------
    ValueError
        If it does not.
    """
    if name != STDIO and _suffix(name) not in (*_SEPARATORS, *_PARQUET):
        raise ValueError(
            f"the name of {name} does not say what it is: it must end in .csv, .tsv, .csv.gz, "
            ".tsv.gz or .parquet"
        )
    if is_parquet(name):
        _import_parquet()


def check_writable(name: str) -> None:
    """Check that a file can be written, before the work that it is for.

    Raises
    ------
    OSError
        If it is a folder, or nothing can be written where it is to be.
    """
    path = Path(name).absolute()
    if name == STDIO:
        return
    if path.is_dir():
        raise IsADirectoryError(f"{name} is a folder; name a file")
    folder = next(parent for parent in path.parents if parent.exists())
    if not folder.is_dir():
        raise NotADirectoryError(f"{name} cannot be written: {folder} is a file")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise PermissionError(f"{name} cannot be written: {folder} takes no new files")


def is_parquet(name: str) -> bool:
    """Tell whether a file is named as Parquet."""
    return _suffix(name) in _PARQUET


def write_table(name: str, frame: pd.DataFrame) -> None:
    """Write a table as its name says; ``-`` is CSV on standard output."""
    if name == STDIO:
        typer.echo(frame.to_csv(index=False), nl=False)
    elif is_parquet(name):
        replace_file(Path(name), lambda file: frame.to_parquet(file, index=False))
    else:
        separator = _SEPARATORS[_suffix(name)]
        text = frame.to_csv(index=False, sep=separator).encode()
        content = gzip.compress(text) if name.endswith(".gz") else text
        replace_file(Path(name), lambda file: file.write(content))


def _suffix(name: str) -> str:
    """The ending that says the format, that of compression aside."""
    path = Path(name.lower())
    return Path(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _similar_file(path: Path) -> str:
    from ._columns import nearest

    if not path.parent.is_dir():
        return f"; there is no folder {path.parent} either"
    return nearest(path.name, sorted(other.name for other in path.parent.iterdir()))


def _import_parquet() -> Any:
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError(
            "Parquet files need pyarrow: pip install 'gbmix-sklearn[parquet]'"
        ) from error
    return parquet
