"""Why GBMix is where it is where whole networks are trained: batch norm, refit, mixing, steps.

Run ``python -m benchmarks networks --data-root DIR``. As in the study of frozen features, test data
are not touched: the training and validation parts of the paper's data sets are divided anew for
each seed. Networks are trained as the preset ``cpu`` has them. Of each, last layers are judged, as
trained and refitted; of some also with the batch-norm statistics of unmixed images.

The embeddings of a network that is done are a file below ``paper_output/networks``, which no later
run computes again, whatever last layers are to be judged.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim.swa_utils import update_bn

from gbmix_sklearn import SmallCellWarning
from gbmix_sklearn import subgroup_train_test_split as split
from gbmix_sklearn._files import replace_file
from gbmix_sklearn.backbones import create_embedding
from gbmix_sklearn.backbones._images import Images
from gbmix_sklearn.backbones._preprocess import Preprocess
from gbmix_sklearn.estimators import METHODS
from gbmix_sklearn.groups import make_cells
from gbmix_sklearn.refit import linear_head, refit_head, scaled_by_training, scaling_of
from gbmix_sklearn.sampling import GroupBalancedSampler, ShuffledSampler

from ._divisions import divide, scores
from ._records import RESULTS, machine, write
from .paper import data
from .paper.config import preset

__all__ = ["AS_TRAINED", "NETWORKS", "REFITS", "STUDIED", "judge", "main", "train"]

STUDIED = ("CelebA", "UTKFace")
OUT = Path("paper_output")
#: share of the training part that is set aside for the refit, as the classifiers do by default
ASIDE = 0.2
#: images whose statistics are taken at once
BATCH = 256
AS_TRAINED = "as trained"
#: how the statistics of batch norm are taken anew: as drawn at random, and the same of each cell
SAMPLERS = {"unmixed": ShuffledSampler, "unmixed, balanced": GroupBalancedSampler}
#: how the last layer is fitted anew
REFITS = ("logistic", "anchored", "dfr")


@dataclass(frozen=True)
class Network:
    """A training: what it is called, and what differs from GBMix as the tables have it."""

    name: str
    method: str = "GBMix"
    setting: dict[str, Any] = field(default_factory=dict)
    #: whether data are set aside for the refit, which is on the training data otherwise
    aside: bool = True
    #: whether statistics of batch norm are taken anew as well
    retaken: bool = False
    datasets: tuple[str, ...] = STUDIED

    def file(self, dataset: str, seed: int) -> Path:
        name = f"{dataset} {self.name} {seed}".replace(" ", "-")
        return OUT / "networks" / f"{name}.npz"


NETWORKS = (
    Network("GBMix", retaken=True),
    Network("GBMix, nothing set aside", aside=False),
    Network("RWG", "RWG", aside=False),
    # on the smaller data set alone, for the sake of time
    Network("GBMix without mixing", setting={"mix": False}, retaken=True, datasets=("CelebA",)),
    Network("GBMix without categories", setting={"categorize": False}, datasets=("CelebA",)),
    Network("GBMix, larger steps", setting={"lr": 0.03}, datasets=("CelebA",)),
)


def _preprocess(size: dict[str, Any]) -> Preprocess:
    image_size = size["parameters"]["image_size"]
    return create_embedding(size["backbone"], pretrained=False, image_size=image_size)[1]


def _load(
    dataset: str, root: Path, size: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels, classes and attribute of everything but the test part."""
    source = data.prepare(dataset, root, OUT / "cache")
    parts = [data.part(source, name, size["backbone"], None) for name in ("train", "valid")]
    paths, y, groups = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    pixels = _preprocess(size).load(Images(paths.tolist()), range(len(paths)))
    return np.ascontiguousarray(pixels.numpy()), y, groups


def _options(network: Network, size: dict[str, Any]) -> dict[str, Any]:
    """The parameters of a classifier: those of a preset, whose refits are made here."""
    options = {**size["parameters"], "backbone": size["backbone"], "max_epochs": 5, "lr": 0.01}
    return options | {"patience": None, "refit": None} | network.setting


def _retake_statistics(
    embedding: torch.nn.Module,
    preprocess: Preprocess,
    pixels: np.ndarray,
    sampler: ShuffledSampler | GroupBalancedSampler,
) -> None:
    """Batch-norm statistics of unmixed images, an epoch of them; no weight changes."""

    def batches() -> Iterator[torch.Tensor]:
        for rows in sampler.epoch(np.random.default_rng(0)):
            yield preprocess.normalize(torch.from_numpy(pixels[rows]), torch.device("cpu"))

    update_bn(batches(), embedding)
    embedding.eval()


def train(
    parts: list[tuple], network: Network, size: dict[str, Any], seed: int
) -> dict[str, np.ndarray]:
    """Train a network once.

    Returns
    -------
    dict of str to ndarray
        The last layer as trained, the epoch that was chosen, and labels and embeddings of each
        part: "train", "aside" where data are set aside, "choose" and "judge".
    """
    named = dict(zip(("train", "choose", "judge"), parts, strict=True))
    if network.aside:
        pieces = split(*named["train"], test_size=ASIDE, random_state=seed)
        named["train"], named["aside"] = pieces[0::2], pieces[1::2]
    X_val, y_val, groups_val = named["choose"]
    model = METHODS[network.method](random_state=seed, verbose=1, **_options(network, size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SmallCellWarning)
        model.fit(*named["train"], X_val=X_val, y_val=y_val, groups_val=groups_val)
    layer = model.net_.raw_module.head
    found = {
        "weight": layer.weight.detach().numpy(),
        "bias": layer.bias.detach().numpy(),
        "classes": model.classes_,
        "best_epoch": np.array(model.best_epoch_),
    }
    for name, (_, y, groups) in named.items():
        found[f"y {name}"], found[f"groups {name}"] = y, groups
    for statistics in (AS_TRAINED, *(SAMPLERS if network.retaken else ())):
        if statistics != AS_TRAINED:
            X, y, groups = named["train"]
            batches = SAMPLERS[statistics](make_cells(y, groups).codes, BATCH)
            embedding = model.net_.raw_module.embedding
            _retake_statistics(embedding, _preprocess(size), X, batches)
        for name, (X, _, _) in named.items():
            found[f"{statistics}: {name}"] = model.transform(X)
    return found


def judge(found: dict[str, np.ndarray], seed: int) -> list[dict[str, Any]]:
    """Score last layers of a network on the choosing and on the judging part."""
    own = "aside" if "y aside" in found else "train"
    cells, chosen_on = (
        make_cells(found[f"y {part}"], found[f"groups {part}"]) for part in (own, "choose")
    )
    trained = linear_head(found["weight"], found["bias"], found["classes"])
    judged = []
    for statistics in (AS_TRAINED, *SAMPLERS):
        if f"{statistics}: judge" not in found:
            continue
        z = {name: found[f"{statistics}: {name}"] for name in {"train", own, "choose", "judge"}}
        heads = {AS_TRAINED: trained}
        for name in REFITS:
            heads[name] = refit_head(
                z[own],
                cells.y,
                cells.codes,
                found["classes"],
                estimator=name,
                validation=(z["choose"], chosen_on.y, chosen_on.codes),
                scaling=scaling_of(z["train"]) if scaled_by_training(name) else None,
                trained=trained,
                n_draws=None if own == "aside" else 10,  # as the classifiers do
                rng=np.random.default_rng(seed),
            )
        judged += [
            {"statistics": statistics, "head": name}
            | {
                key: scores(found[f"y {part}"], head.predict(z[part]), found[f"groups {part}"])
                for key, part in {"chosen_on": "choose", "judged": "judge"}.items()
            }
            for name, head in heads.items()
        ]
    return judged


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks networks", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--data-root", type=Path, required=True, metavar="DIR")
    parser.add_argument("--datasets", nargs="+", default=list(STUDIED), choices=list(STUDIED))
    names = [network.name for network in NETWORKS]
    parser.add_argument("--networks", nargs="+", default=names, choices=names, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--train-only", action="store_true", help="judge nothing yet")
    arguments = parser.parse_args(argv)
    size = preset("cpu")
    for dataset in arguments.datasets:
        todo = [
            (network, seed)
            for network in NETWORKS
            for seed in range(arguments.seeds)
            if network.name in arguments.networks and dataset in network.datasets
            if not network.file(dataset, seed).exists()
        ]
        samples = _load(dataset, arguments.data_root, size) if todo else ()
        for network, seed in todo:
            found = train(divide(*samples, seed), network, size, seed)
            _save(network.file(dataset, seed), found)
            print(f"{dataset}, {network.name}, division {seed}: trained", flush=True)
    if not arguments.train_only:
        write(
            RESULTS / "networks.json",
            {"machine": machine(), "records": _judge_all(arguments.seeds)},
        )
    return 0


def _save(file: Path, found: dict[str, np.ndarray]) -> None:
    replace_file(file, lambda stream: np.savez(stream, **found))


def _judge_all(seeds: int) -> list[dict[str, Any]]:
    """Judge all networks that are done, whichever were asked for now."""
    records = []
    for dataset in STUDIED:
        for network in NETWORKS:
            for seed in range(seeds):
                file = network.file(dataset, seed)
                if not file.exists():
                    continue
                with np.load(file) as saved:
                    found = dict(saved)
                print(f"{dataset}, {network.name}, division {seed}: judging", flush=True)
                records.append(
                    {
                        "dataset": dataset,
                        "network": network.name,
                        "method": network.method,
                        "setting": network.setting,
                        "aside": network.aside,
                        "seed": seed,
                        "best_epoch": int(found["best_epoch"]),
                        "heads": judge(found, seed),
                    }
                )
    return records
