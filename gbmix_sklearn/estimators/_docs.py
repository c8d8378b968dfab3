"""Documentation that all classifiers share, written once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from types import FunctionType
from typing import Any, TypeVar

__all__ = ["document", "named_method"]

_PARAMETERS = """\
backbone : str or Module, default=None
        The name of a timm model, such as ``"resnet50"``: X is images. Or a module that maps a batch
        of inputs to embeddings; it is copied, never changed. None: X is a matrix of embeddings, or
        a table.
    hidden_units : tuple of int, default=()
        Sizes of ReLU layers before the head.
    trainable : bool, int or str, default=True
        Whether the backbone is trained. False: it embeds the data once, in eval mode, and what
        follows it is trained on the embeddings. Of a timm model, also how many of the last stages
        are trained, or the name of the first that is (``"layer4"``); the stages before stay as they
        are, and are run once for each image where no augmentation varies them.
    pretrained : bool, str or path-like, default=True
        Weights of a timm model: True takes the published ones (see
        :class:`~gbmix_sklearn.TimmEmbedder`), a path reads a local ``.safetensors`` or ``.pth``
        file, False draws random ones.
    image_size : int, default=None
        Resize the short side of every image to this many pixels and take the centre square; images
        that are such squares already pass untouched. None does what the backbone's own evaluation
        does, which may cut off a margin.
    augment : {{"flip", "standard"}}, callable or None, default=None
        What varies the training images: "flip" mirrors half of them; "standard" also crops them at
        random (70 to 100 % of the area, aspect ratio 3:4 to 4:3) and resizes the crop. A callable
        gets one PIL image and returns one (or a uint8 array), such as a composition of
        torchvision's transforms without normalisation; its random numbers are seeded for each
        image.
    max_epochs : int, default={max_epochs}
        Upper bound on the epochs.
    batch_size : int, default={batch_size}
        Samples in a batch.
    optimizer : {{"sgd", "adam", "adamw"}}, default={optimizer!r}
        SGD is the paper's.
    lr : "auto" or float, default={lr!r}
        Learning rate. "auto" fits the data: where a matrix is trained on, SGD's is
        ``(1 - momentum)`` over the largest eigenvalue of the second moment of the standardised
        features and over the scale of the loss (GBMix's is a sum of four means); where a network is
        trained on raw inputs, 0.01 over the scale of the loss, or 0.003 with pretrained weights of
        timm's. `lr_` has it.
    head_lr : float, default=None
        Learning rate of the last layer, where it is to be another.
    momentum : float, default={momentum}
        Momentum of SGD.
    weight_decay : "auto" or float, default={weight_decay!r}
        Weight decay. "auto" is 2e-4 for each feature and each mean in the loss where the last layer
        is the whole model, else {network_weight_decay}. `weight_decay_` has it.
    lr_schedule : {{"constant", "cosine", "step"}}, default={lr_schedule!r}
        Cosine falls to 0 over `max_epochs`; step to a tenth after each third of them.
    warmup_epochs : float, default={warmup_epochs}
        Epochs in which the learning rate rises, step by step, before the schedule begins.
    max_grad_norm : float, default=None
        Gradients that are longer are shortened to this Euclidean norm.
    refit : {{{refits}}}, Recipe, None or linear classifier, default={refit!r}
        Fit the last layer anew. "learned", which is also what "auto" takes, is logistic regression
        on all samples of the refit and the validation part, whose cells weigh what errors on
        held-out folds say; the same errors choose the penalty, and whether it pulls towards zero or
        towards the trained layer. The others fit balanced draws: "anchored" is held near the
        trained layer, "dfr" the recipe of DFR as published, "logistic" the same with a free
        intercept; their penalty is chosen on the validation part. A
        :class:`~gbmix_sklearn.refit.Recipe` or :class:`~gbmix_sklearn.refit.LearnedRecipe` is one
        of your own; a scikit-learn classifier is fitted as it is; None keeps the trained layer.
        Where the data for it have a single class, the trained layer is kept, with a warning.
    refit_on : {{"auto", "held_out", "validation", "train"}}, default={refit_on!r}
        The data of the refit: a part that is set aside and never trained on (the choice of GBMix's
        paper); the validation part, which also chooses the epoch, and whose halves choose C (the
        headline of DFR's paper, given validation data); or the very training data, of balanced
        draws C chosen on the validation part (DFR's "DFR-Tr", 10 draws instead of 20). "auto" sets
        a part aside where layers before the last are trained. Where none is, embeddings of training
        data are like those of others, and it takes these.
    refit_fraction : float, default={refit_fraction}
        Share of each cell that is set aside for the refit where it has data of its own.
    validation_fraction : float or None, default={validation_fraction}
        Share of each cell that is set aside to choose the best epoch. None: no such part; all
        `max_epochs` are run and the last one is kept.
    patience : int or None, default={patience}
        Stop after so many epochs without a better one.
    group_columns : str or list of str, default=None
        Columns of a DataFrame X that hold the sensitive attributes. They are taken out before
        training and may be absent when predicting.
    image_root : str or path-like, default=None
        Folder that relative paths in X start from; None is the working directory.
    image_column : str, default=None
        Where X is a DataFrame or a ``datasets.Dataset``, the column with the images or their paths.
        None takes the only one.
    value_range : (float, float), default=None
        The values that become black and white in images of more than 8 bits, such as (0, 4095) for
        12 bits; arrays may then have any numbers. See :class:`~gbmix_sklearn.TimmEmbedder`.
    on_error : {{"raise", "skip"}}, default={on_error!r}
        What fit does about images that cannot be read: "skip" leaves them out, with their labels
        and groups, and warns.
    cache_dir : str or path-like, default=None
        Folder that keeps, by content, what is read only once: embeddings of a frozen backbone, and
        decoded pixels for a trained one. None keeps embeddings in the memory of the process, and
        pixels for the time of a fit, in memory or, where they do not fit, in a temporary file.
    num_workers : int, default={num_workers}
        Processes that run a callable `augment`; 0 runs it in this one. Everything else about images
        is done by threads. The results do not depend on it.
    device : str, default={device!r}
        A torch device; "auto" takes the GPU where there is one.
    precision : {{"auto", "fp32", "bf16", "fp16"}}, default={precision!r}
        What training computes in; "auto" is bf16 where the device has it fast, else fp32.
    compile : bool, default={compile}
        Compile the network with torch.compile.
    checkpoint_dir : str or Path, default=None
        Save the state of the training here after each epoch, in a folder for each combination of
        parameters, data, code and versions: the same fit goes on where it was interrupted, and is
        loaded where it was finished. Needs an integer `random_state`. Callbacks that may change the
        training tell runs apart, and what they have counted goes on with a run.
    callbacks : list, default=None
        Callbacks of skorch; in methods of several stages those of the last.
    random_state : int, RandomState or None, default=None
        Seed of everything that is drawn: the same seed gives the same weights, to the bit, on one
        machine. Global random states are never touched.
    verbose : int, default=0
        1 prints a line for each epoch; the logger "gbmix_sklearn" has it in any case."""

_ATTRIBUTES = """\
classes_ : ndarray of shape (n_classes,)
        The labels.
    n_features_in_ : int
        Features seen in fit, sensitive columns included.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Their names, where X had names.
    group_table_ : DataFrame
        Count and share of each cell in the data that were trained on; a row for every combination
        of class and attribute values, absent ones with count 0.
    net_ : GroupNet
        The skorch net: module, optimizer, history, callbacks.
    backbone_ : Module or None
        The backbone, or its first stages, where they are frozen.
    skipped_ : dict of int to str
        Rows of X that ``on_error="skip"`` left out, and what was wrong with them.
    lr_ : float
        The learning rate that was trained with.
    weight_decay_ : float
        The weight decay that was trained with.
    cell_table_ : DataFrame
        How many samples of each cell are trained on, judge epochs and refit (saved with the model,
        and part of its audits), and what is too small
        for what: cells with less than 10 samples and less than a tenth of the mean are trained as
        members of the largest cell of their class.
    cell_weights_ : Series
        Share of each cell in the loss of the last layer, where a refit has learned it; else, and in
        a loaded model, None.
    refit_history_ : DataFrame
        The rounds in which it was learned.
    head_ : LogisticRegression or the classifier given as `refit`
        Linear classifier on the embeddings: refitted, or the network's last layer.
    coef_ : ndarray of shape (1 or n_classes, n_features)
        Coefficients of `head_`, only where that works on X itself.
    intercept_ : ndarray of shape (1 or n_classes,)
        Its intercepts, only where it works on X itself.
    history_ : DataFrame
        A row for each epoch: losses, learning rate, seconds, accuracies of the validation part.
    best_epoch_ : int
        The epoch that was kept, counted from 1: the one with the best worst-group accuracy on the
        validation part, small cells drawn towards their class, then the best mean group accuracy.
        Where layers before the last are trained and the last one is refitted with learned weights,
        epochs are judged by such a refit on the folds of the validation part. 0 where pretrained
        weights of timm's were better before the training."""

T = TypeVar("T", bound=type[Any])


def document(cls: T) -> T:
    """Put the shared parameters and attributes, with the class's own defaults, into its docstring.

    The docstring has the places ``<common parameters>`` and ``<common attributes>``.
    """
    assert cls.__doc__ is not None
    defaults = {
        name: getattr(cls, name) for name in (field.name for field in fields(cls)) if name != "_"
    }
    defaults["network_weight_decay"] = cls._network_weight_decay
    defaults["refits"] = ", ".join(f'"{name}"' for name in cls._refits)
    text = cls.__doc__.replace("<common parameters>", _PARAMETERS.format(**defaults))
    cls.__doc__ = text.replace("<common attributes>", _ATTRIBUTES)
    return cls


def named_method(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    """Copy a method under another qualified name, which Python's own errors begin with."""
    assert isinstance(method, FunctionType)
    copied = FunctionType(
        method.__code__,
        method.__globals__,
        method.__name__,
        method.__defaults__,
        method.__closure__,
    )
    copied.__dict__.update(method.__dict__)
    copied.__kwdefaults__ = method.__kwdefaults__
    copied.__annotations__ = method.__annotations__
    copied.__doc__, copied.__module__ = method.__doc__, method.__module__
    copied.__qualname__ = name
    return copied
