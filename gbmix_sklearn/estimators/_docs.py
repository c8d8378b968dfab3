"""Documentation that all classifiers share, written once."""

from __future__ import annotations

from dataclasses import fields
from typing import Any, TypeVar

__all__ = ["document"]

_PARAMETERS = """\
backbone : Module, default=None
        Maps a batch of inputs to embeddings. It is copied, never changed. None: X is a matrix of
        embeddings, or a table.
    hidden_units : tuple of int, default=()
        Sizes of ReLU layers before the head.
    trainable : bool, default=True
        Whether the backbone is trained. False: it embeds the data once, in eval mode, and what
        follows it is trained on the embeddings.
    max_epochs : int, default={max_epochs}
        Upper bound on the epochs.
    batch_size : int, default={batch_size}
        Samples in a batch.
    optimizer : {{"sgd", "adam", "adamw"}}, default={optimizer!r}
        SGD is the paper's.
    lr : float, default={lr}
        Learning rate. GBMix's loss is a sum of four means, and acts like four times the rate on
        one.
    momentum : float, default={momentum}
        Momentum of SGD.
    weight_decay : float, default={weight_decay}
        Weight decay.
    lr_schedule : {{"constant", "cosine", "step"}}, default={lr_schedule!r}
        Cosine falls to 0 over `max_epochs`; step to a tenth after each third of them.
    refit : {{"auto", "logistic"}}, None or linear classifier, default={refit!r}
        Fit the last layer anew, on group-balanced draws of data that were set aside. "logistic" is
        the recipe of DFR, with C chosen on the validation part; a scikit-learn classifier is fitted
        as it is; None keeps the trained layer. "auto" is "logistic" where there is a backbone or a
        hidden layer, and None where the last layer is the whole model: a refit would then discard
        all of the training.
    refit_fraction : float, default={refit_fraction}
        Share of each cell that is set aside for the refit and never trained on.
    validation_fraction : float or None, default={validation_fraction}
        Share of each cell that is set aside to choose the best epoch. None: no such part; all
        `max_epochs` are run and the last one is kept.
    patience : int or None, default={patience}
        Stop after so many epochs without a better one.
    group_columns : str or list of str, default=None
        Columns of a DataFrame X that hold the sensitive attributes. They are taken out before
        training and may be absent when predicting.
    device : str, default={device!r}
        A torch device; "auto" takes the GPU where there is one.
    precision : {{"auto", "fp32", "bf16", "fp16"}}, default={precision!r}
        What training computes in; "auto" is bf16 where the device has it fast, else fp32.
    compile : bool, default={compile}
        Compile the network with torch.compile.
    checkpoint_dir : str or Path, default=None
        Save the state of the training here after each epoch, in a folder for each combination of
        parameters, data and versions: the same fit goes on where it was interrupted, and is loaded
        where it was finished. Needs an integer `random_state`. Callbacks do not tell runs apart,
        and start anew where a run goes on.
    callbacks : list, default=None
        Callbacks of skorch.
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
        The frozen backbone.
    head_ : LogisticRegression or the classifier given as `refit`
        Linear classifier on the embeddings: refitted, or the network's last layer.
    history_ : DataFrame
        A row for each epoch: losses, learning rate, seconds, accuracies of the validation part.
    best_epoch_ : int
        The epoch that was kept, counted from 1: the one with the best worst-group accuracy on the
        validation part, then the best mean group accuracy."""

T = TypeVar("T", bound=type[Any])


def document(cls: T) -> T:
    """Put the shared parameters and attributes, with the class's own defaults, into its docstring.

    The docstring has the places ``<common parameters>`` and ``<common attributes>``.
    """
    assert cls.__doc__ is not None
    defaults = {
        name: getattr(cls, name) for name in (field.name for field in fields(cls)) if name != "_"
    }
    text = cls.__doc__.replace("<common parameters>", _PARAMETERS.format(**defaults))
    cls.__doc__ = text.replace("<common attributes>", _ATTRIBUTES)
    return cls
