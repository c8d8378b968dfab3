"""Model cards in the format of the Hugging Face Hub, from what was measured."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..metrics._report import cell_names
from ._audit import GroupAudit
from ._model import ModelFacts, describe
from ._output import write_text
from ._small import TOO_WIDE
from ._summary import named_rows, named_scores, sentences
from ._templates import fill
from ._text import visible

if TYPE_CHECKING:
    from huggingface_hub import ModelCard

__all__ = ["model_card"]

#: scores that the Hub knows by another name
_METRIC_TYPES = {"average_accuracy": "accuracy"}


def model_card(
    estimator: Any,
    audit: GroupAudit,
    *,
    model_name: str | None = None,
    dataset_name: str = "unnamed",
    description: str = "",
    license: str | None = None,
    language: str | Sequence[str] | None = None,
    tags: Sequence[str] = (),
    task_type: str | None = None,
    path: str | os.PathLike[str] | None = None,
) -> ModelCard:
    """Write the model card of a fitted classifier, with the results of its audit.

    Parameters
    ----------
    estimator : object
        Fitted classifier, pipeline or search.
    audit : GroupAudit
        Its audit, made with :meth:`GroupAudit.from_estimator` or from its predictions.
    model_name : str, default=None
        Name of the model; None takes that of its class.
    dataset_name : str, default="unnamed"
        Name of the data that it was audited with.
    description : str, default=""
        What the model is for and how it was made; Markdown, taken as it is.
    license : str, default=None
        Identifier of the licence that the Hub knows, such as ``"bsd-3-clause"``.
    language : str or list of str, default=None
        Languages of the data, as ISO 639-1 codes.
    tags : sequence of str, default=()
        Further tags.
    task_type : str, default=None
        Task by the Hub's name. None takes ``"image-classification"`` for models with an image
        backbone, ``"tabular-classification"`` for others.
    path : str or Path, default=None
        File to write as well, usually the ``README.md`` beside the model.

    Returns
    -------
    huggingface_hub.ModelCard
        The card. ``str(card)`` is its text, ``card.data`` its metadata.

    Raises
    ------
    ValueError
        If `audit` is that of another model, as far as name and parameters tell.
    TypeError
        If `audit` is no :class:`GroupAudit`.

    See Also
    --------
    GroupAudit : Measures what the card says.

    Notes
    -----
    The card says what was measured, and that nothing else was: parameters, cells of the training
    set (where the model knows them), accuracy of each cell with its exact interval, the scores that
    sum them up, what cannot be told. All scores are also in the metadata block, as ``model-index``.

    References
    ----------
    .. [1] M. Mitchell et al., "Model cards for model reporting", FAT* 2019.
       https://arxiv.org/abs/1810.03993
    .. [2] The format: https://huggingface.co/docs/hub/model-cards

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from gbmix_sklearn import GroupAudit, model_card
    >>> X, y, groups = [[0], [1], [2], [3]] * 50, [0, 0, 1, 1] * 50, ["f", "m"] * 100
    >>> model = LogisticRegression().fit(X, y)
    >>> audit = GroupAudit.from_estimator(model, X, y, groups=groups)
    >>> card = model_card(model, audit, dataset_name="toy", license="bsd-3-clause")
    >>> card.data.eval_results[0].metric_type, card.data.eval_results[0].metric_value
    ('worst_group_accuracy', 1.0)
    """
    from huggingface_hub import EvalResult, ModelCard, ModelCardData
    from markupsafe import Markup

    if not isinstance(audit, GroupAudit):
        raise TypeError(f"audit must be a GroupAudit, got {type(audit).__name__}")
    model = describe(estimator)
    _check_same_model(model, audit.model)
    name = visible(model.name if model_name is None else model_name)
    task = task_type or _task(model)
    data = ModelCardData(
        model_name=name,
        library_name=model.library or None,
        license=license,
        language=language if language is None or isinstance(language, str) else list(language),
        pipeline_tag=task,
        tags=[*map(visible, tags), "fairness", "group-robustness"],
        metrics=["accuracy"],
        eval_results=[
            EvalResult(
                task_type=task,
                dataset_type="custom",
                dataset_name=visible(dataset_name),
                metric_type=_METRIC_TYPES.get(score["key"], score["key"]),
                metric_name=score["name"],
                metric_value=round(score["value"], 6),
            )
            for score in named_scores(audit)
        ],
    )
    training = model.training_cells
    frame = audit.to_frame()
    body = fill(
        "model_card.md.j2",
        name=name,
        description=Markup(description),  # the user's own Markdown
        model=model,
        audit=audit,
        dataset_name=dataset_name,
        scores=named_scores(audit),
        cells=named_rows(frame, audit.labels),
        attributes=", ".join(map(str, frame.index.names[1:])),
        training=[] if training is None else named_rows(training, cell_names(training.index)),
        findings=sentences(audit),
        too_wide=TOO_WIDE,
    )
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n{body}")
    write_text(path, str(card))
    return card


def _check_same_model(model: ModelFacts, audited: ModelFacts | None) -> None:
    if audited is None:
        return  # made from predictions
    if audited.name != model.name:
        raise ValueError(f"the audit is that of a {audited.name}, the estimator is a {model.name}")
    for name, value in model.parameters.items():
        other = audited.parameters.get(name)
        if other != value:
            raise ValueError(
                f"the audit is that of a model with {name}={other}, the estimator has "
                f"{name}={value}; audit the estimator that the card is for"
            )


def _task(model: ModelFacts) -> str:
    backbones = (
        value for name, value in model.parameters.items() if name.rpartition("__")[2] == "backbone"
    )
    images = any(value != "None" for value in backbones)
    return "image-classification" if images else "tabular-classification"
