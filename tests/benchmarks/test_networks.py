"""Networks trained as a whole: what is varied of each, and what the results have."""

from collections import Counter

import numpy as np
import pytest
import torch

from benchmarks import networks
from benchmarks._divisions import METRICS, divide
from benchmarks._networks_report import BETTER, block
from benchmarks._records import read
from benchmarks.paper.config import preset
from gbmix_sklearn.sampling import ShuffledSampler

from ..estimators.problems import problem

SIZE = preset("smoke")


def pictures(n=240):
    """Images whose class is their brightness, and whose attribute is their colour."""
    _, y, s = problem(n)
    pixels = np.random.default_rng(0).integers(60, size=(n, 32, 32, 3), dtype=np.uint8)
    pixels += (100 * y[:, None, None, None]).astype(np.uint8)
    pixels[..., 0] += (60 * s[:, None, None]).astype(np.uint8)
    return pixels, y, s


@pytest.fixture(scope="module")
def parts():
    return divide(*pictures(), seed=0)


@pytest.mark.parametrize("network", [networks.NETWORKS[0], networks.NETWORKS[2]])
def test_every_last_layer_is_judged(parts, network, tmp_path):
    found = networks.train(parts, network, SIZE, seed=0)
    networks._save(tmp_path / "network.npz", found)
    with np.load(tmp_path / "network.npz") as saved:
        heads = networks.judge(dict(saved), seed=0)
    statistics = ("as trained", *(networks.SAMPLERS if network.retaken else ()))
    assert Counter((head["statistics"], head["head"]) for head in heads) == Counter(
        (name, layer) for name in statistics for layer in ("as trained", *networks.REFITS)
    )
    for head in heads:
        for part in ("chosen_on", "judged"):
            assert set(head[part]) == set(METRICS)


def test_parts_share_no_image_and_the_last_layer_is_that_of_training(parts):
    found = networks.train(parts, networks.NETWORKS[0], SIZE, seed=0)
    sizes = [len(found[f"y {name}"]) for name in ("train", "aside", "choose", "judge")]
    assert sizes == pytest.approx([115, 29, 48, 48], abs=4)
    assert sum(sizes) == 240
    z = np.concatenate([found[f"as trained: {name}"] for name in ("train", "aside")])
    assert len(np.unique(z, axis=0)) == len(z)
    logits = found["as trained: judge"] @ found["weight"].T + found["bias"]
    right = found["classes"][logits.argmax(axis=1)] == found["y judge"]
    heads = networks.judge(found, seed=0)
    assert heads[0]["judged"]["average_accuracy"] == pytest.approx(right.mean())


def test_statistics_taken_anew_are_those_of_the_images(parts):
    pixels = parts[0][0]
    preprocess = networks._preprocess(SIZE)
    norm = torch.nn.BatchNorm2d(3)
    norm.weight.data.fill_(2.0)
    norm.running_mean.fill_(9.0)
    sampler = ShuffledSampler(np.zeros(len(pixels), dtype=np.int64), len(pixels))
    networks._retake_statistics(norm, preprocess, pixels, sampler)
    mean, std = (np.array(values) for values in (preprocess.mean, preprocess.std))
    scaled = (pixels / 255 - mean) / std
    assert norm.running_mean.numpy() == pytest.approx(scaled.mean(axis=(0, 1, 2)), abs=1e-4)
    expected = scaled.reshape(-1, 3).var(axis=0, ddof=1)
    assert norm.running_var.numpy() == pytest.approx(expected, rel=1e-3)
    assert not norm.training
    assert norm.weight.tolist() == [2.0] * 3


def test_the_better_layer_is_that_of_the_choosing_part():
    def head(name, chosen_on, judged):
        accuracies = {"chosen_on": chosen_on, "judged": judged}
        return {
            "statistics": "as trained",
            "head": name,
            **{
                part: {"worst_group_accuracy": worst, "average_accuracy": 0.9}
                for part, worst in accuracies.items()
            },
        }

    def record(seed, *heads):
        names = {"dataset": "Faces", "network": "GBMix", "seed": seed, "aside": True}
        return names | {"heads": list(heads)}

    records = [
        record(0, head("as trained", 0.6, 0.4), head("logistic", 0.5, 0.5)),
        record(1, head("as trained", 0.5, 0.5), head("logistic", 0.6, 0.7)),
        record(2, head("as trained", 0.5, 0.5), head("logistic", 0.5, 0.6)),  # a tie
    ]
    text = block({"records": records}, "Run here.")
    assert "| GBMix as in the tables | logistic | as trained | 60.0 ± 8.2 | 90.0 ± 0.0 |" in text
    assert "| GBMix | as trained | as trained | -13.3 ± 4.7 | +0.0 ± 0.0 |" in text
    assert f"| GBMix | {BETTER} | as trained | -6.7 ± 4.7 | +0.0 ± 0.0 |" in text
    assert text.endswith("on the same divisions. Run here.")


def test_results_are_whole():
    records = read("networks.json")["records"]
    ran = Counter((r["dataset"], r["network"], r["seed"]) for r in records)
    seeds = {record["seed"] for record in records}
    assert len(seeds) >= 3
    assert ran == Counter(
        (dataset, network.name, seed)
        for network in networks.NETWORKS
        for dataset in network.datasets
        for seed in seeds
    )
