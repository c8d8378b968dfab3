"""The settings of GBMix's paper.

Hong et al., "GBMix: Enhancing Fairness by Group-Balanced Mixup", IEEE Access 2024, section VI and
appendix B.
"""

from __future__ import annotations

from typing import Any

__all__ = ["paper_params"]

#: epochs of each data set
_EPOCHS = {"waterbirds": 200, "celeba": 25, "utkface": 80, "fairface": 80}
#: what methods have set beside what they share, where the paper says it
_OF_METHOD: dict[str, dict[str, Any]] = {"gbmix": {"refit": "dfr"}, "dfr": {"refit": "dfr"}}


def paper_params(dataset: str, method: str | None = None) -> dict[str, Any]:
    """Settings with which the paper trains on a data set, as parameters of any classifier.

    Parameters
    ----------
    dataset : {"waterbirds", "celeba", "utkface", "fairface"}
        The data set; upper and lower case are alike.
    method : {"GBMix", "DFR"} or None, default=None
        Adds how the last layer is refitted, which none of the other methods does: as DFR's authors
        published it. The default of :class:`GBMixClassifier` is another.

    Returns
    -------
    dict
        A new one: backbone, optimizer, batch size, learning rate, weight decay, epochs. What a
        method adds (``alpha``, ``weight`` ...) is not in it.

    Raises
    ------
    ValueError
        If the paper has no such data set, or says nothing of its own of the method.

    See Also
    --------
    GBMixClassifier : The paper's method.
    load_waterbirds : The first of its data sets.

    Notes
    -----
    From the paper (section VI and appendix B) are: ResNet-50 with ImageNet weights, trained as a
    whole by SGD; batches of 64; weight decay 1e-4; 200 epochs on Waterbirds, 25 on CelebA, 80 on
    UTKFace and FairFace, all of them run (``patience=None``) and the best one kept by the worst
    group of validation data. It tries the learning rates 1e-3, 1e-4 and 1e-5 with every method and
    does not say which did best; the first is given here: search over all three.

    The paper is silent about the rest. The weights are those of torchvision, momentum is 0.9 and
    images are the centre squares at 224 pixels, as in the reference code of the field; there is no
    augmentation.

    Two methods have more to set: for :class:`GroupDROClassifier` weight decay 1 on Waterbirds, 0.1
    on CelebA and either on the others, ``adjustment`` 1, 3 or 5; for :class:`FairMixClassifier`
    ``weight`` 1, 3 or 5.

    References
    ----------
    Hong, Yoon, Joo and Lee, "GBMix: Enhancing Fairness by Group-Balanced Mixup", IEEE Access 2024.

    Examples
    --------
    >>> from gbmix_sklearn import GBMixClassifier, paper_params
    >>> paper_params("celeba")["max_epochs"]
    25
    >>> model = GBMixClassifier(**paper_params("waterbirds", "GBMix"), random_state=0)
    >>> model.backbone
    'resnet50.tv_in1k'

    On a smaller machine, with another rate:

    >>> small = paper_params("utkface") | {"backbone": "resnet18", "lr": 1e-4, "max_epochs": 10}
    >>> GBMixClassifier(**small).batch_size
    64
    """
    name = dataset.lower() if isinstance(dataset, str) else ""
    if name not in _EPOCHS:
        raise ValueError(f"dataset must be one of {list(_EPOCHS)}, got {dataset!r}")
    own: dict[str, Any] = {}
    if method is not None:
        if not isinstance(method, str) or method.lower() not in _OF_METHOD:
            raise ValueError(f"method must be 'GBMix', 'DFR' or None, got {method!r}")
        own = _OF_METHOD[method.lower()]
    return {
        "backbone": "resnet50.tv_in1k",
        "pretrained": True,
        "image_size": 224,
        "max_epochs": _EPOCHS[name],
        "patience": None,
        "batch_size": 64,
        "optimizer": "sgd",
        "lr": 1e-3,
        "momentum": 0.9,
        "weight_decay": 1e-4,
        **own,
    }
