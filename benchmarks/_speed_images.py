"""Images in ``benchmarks.speed``: embedding, fine-tuning, and what is not computed twice.

On a machine with a GPU the same is measured there, with a larger backbone and in bf16, together
with images per second and the utilisation of the GPU.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from skorch.callbacks import Callback
from timm.data import create_transform, resolve_model_data_config
from torch.nn import functional as F

from gbmix_sklearn import ERMClassifier, GBMixClassifier, TimmEmbedder
from gbmix_sklearn.backbones import create_model, load_backbone
from gbmix_sklearn.backbones._memory import find_batch_size

from ._timing import in_fresh_process, in_rounds, peak_growth, record, seconds, summary

SIZE = 224  # of embedded images
BATCH = 64  # of training
EPOCHS = 3  # of a measured fit; the first warms up
SEARCHED = 128  # images of the search
SMALL = "mobilenetv3_small_050"  # for the memory: 100,000 images in minutes on two cores
DISTINCT = 2_000  # files there


@dataclass(frozen=True)
class Setting:
    """What is measured on one kind of device."""

    device: str
    backbone: str
    pretrained: bool
    dtype: torch.dtype
    n_embedded: int
    n_trained: int
    trained_size: int


CPU = Setting("cpu", "tf_efficientnet_lite0", True, torch.float32, 256, 256, 96)
GPU = Setting("cuda", "resnet50", False, torch.bfloat16, 8192, 2048, SIZE)


def measure_images(rounds: int, setting: Setting | None = None) -> dict[str, Any]:
    setting = setting or (GPU if torch.cuda.is_available() else CPU)
    with TemporaryDirectory() as folder:
        paths = make_photographs(Path(folder), setting.n_embedded)
        embedded, trained = (
            read_squares(paths[:n], size)
            for n, size in ((setting.n_embedded, SIZE), (setting.n_trained, setting.trained_size))
        )
        records = [
            embedding_of_arrays(setting, embedded, rounds),
            embedding_of_files(setting, paths, rounds),
            *steps(setting, trained, rounds),
            *second_fit(setting, embedded, rounds),
            search(setting, paths[:SEARCHED]),
        ]
    return {"backbone": setting.backbone, "device": setting.device, "records": records}


# ---------------------------------------------------------------------------------- the images


def make_photographs(folder: Path, n: int) -> list[str]:
    """JPEG files of 500 x 375 pixels: parts of scikit-learn's two photographs."""
    photographs = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]

    def make(number: int) -> str:
        rng = np.random.default_rng(number)
        whole = photographs[number % 2]
        width = rng.integers(300, 4 * whole.height // 3)
        height = 3 * width // 4
        left, top = rng.integers(0, [whole.width - width + 1, whole.height - height + 1])
        part = whole.resize((500, 375), box=(left, top, left + width, top + height))
        path = folder / f"{number}.jpg"
        part.save(path, quality=90)
        return str(path)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(make, range(n)))


def read_squares(paths: Sequence[str], size: int) -> np.ndarray:
    """Pixels as one array, so that nothing is left to decode or to resize."""

    def read(path: str) -> np.ndarray:
        return np.asarray(Image.open(path).resize((size, size)))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return np.stack(list(pool.map(read, paths)))


def labels(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels and groups whose four cells are equally large."""
    return np.arange(n) % 2, np.arange(n) // 2 % 2


# ------------------------------------------------------------------------------------- the clock


def gpu_utilization(call: Callable[[], Any], setting: Setting, least: float = 5) -> float | None:
    """Mean percentage of the time that the GPU is busy, while a call is repeated."""
    if setting.device != "cuda":
        return None
    gpu = f"GPU-{torch.cuda.get_device_properties(0).uuid}"
    query = [
        "nvidia-smi",
        "-i",
        gpu,
        "--query-gpu=utilization.gpu",
        "--format=csv,noheader,nounits",
    ]
    with subprocess.Popen([*query, "-lms", "100"], stdout=subprocess.PIPE, text=True) as samples:
        start = time.perf_counter()
        while time.perf_counter() - start < least:
            call()
        samples.terminate()
        return float(np.mean([int(line) for line in samples.stdout if line.strip().isdigit()]))


# ------------------------------------------------------------------------------------- embedding


def bare_backbone(setting: Setting) -> torch.nn.Module:
    model = create_model(setting.backbone, pretrained=setting.pretrained)
    model.reset_classifier(0)
    return model.eval().to(setting.device, memory_format=torch.channels_last)


def bare_batch(setting: Setting) -> int:
    """As many at once as the embedder takes: a smaller batch may suit the processor better."""
    backbone = load_backbone(setting.backbone, pretrained=setting.pretrained, device=setting.device)
    return find_batch_size(backbone.image_bytes, backbone.device)


def bare_forward(
    setting: Setting, model: torch.nn.Module, batches: Sequence[torch.Tensor]
) -> np.ndarray:
    """Embed images that are floats, normalised and on the device already."""
    with torch.inference_mode(), autocast(setting):
        return torch.cat([model(batch) for batch in batches]).float().cpu().numpy()


def autocast(setting: Setting) -> torch.autocast:
    half = setting.dtype != torch.float32
    return torch.autocast(setting.device, setting.dtype, enabled=half)


def normalised(setting: Setting, model: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """From uint8, channels last, to what the model takes; in memory they stay last."""
    config = resolve_model_data_config(model)
    mean, std = (
        255 * torch.tensor(config[name], device=setting.device) for name in ("mean", "std")
    )
    return ((pixels.to(setting.device) - mean) / std).permute(0, 3, 1, 2)


def embedder(setting: Setting, **parameters: Any) -> TimmEmbedder:
    return TimmEmbedder(
        setting.backbone, pretrained=setting.pretrained, device=setting.device, **parameters
    )


def embedding_of_arrays(setting: Setting, X: np.ndarray, rounds: int) -> dict[str, Any]:
    model = bare_backbone(setting)
    batches = [
        normalised(setting, model, part) for part in torch.tensor(X).split(bare_batch(setting))
    ]
    bare = partial(bare_forward, setting, model, batches)
    ours = partial(embedder(setting, image_size=SIZE).transform, X)
    check_same(bare(), ours())
    times = in_rounds(rounds, bare=bare, ours=ours)
    return record(
        f"`TimmEmbedder.transform`, {len(X)} arrays, images per second, to a bare forward",
        times["bare"] / times["ours"],
        at_least=0.95,
        **rates(len(X), times),
        gpu_utilization=gpu_utilization(ours, setting),
    )


def embedding_of_files(setting: Setting, paths: list[str], rounds: int) -> dict[str, Any]:
    model = bare_backbone(setting)
    transform = create_transform(**resolve_model_data_config(model), is_training=False)

    def decode_one(path: str) -> torch.Tensor:
        with Image.open(path) as image:
            return transform(image.convert("RGB"))

    def decode() -> list[torch.Tensor]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(decode_one, paths))

    pixels = torch.stack(decode()).to(setting.device, memory_format=torch.channels_last)
    forward = partial(bare_forward, setting, model, pixels.split(bare_batch(setting)))
    ours = partial(embedder(setting).transform, paths)
    check_same(forward(), ours())
    times = in_rounds(rounds, decoding=decode, forward=forward, ours=ours)
    together, how = np.add, "bare decoding and then a bare forward"
    if setting.device == "cuda":  # which computes while the processor decodes
        together, how = np.maximum, "the slower of bare decoding and a bare forward"
    return record(
        f"`TimmEmbedder.transform`, {len(paths)} JPEG files, images per second, to {how}",
        together(times["decoding"], times["forward"]) / times["ours"],
        at_least=0.9,
        **rates(len(paths), times),
        gpu_utilization=gpu_utilization(ours, setting),
    )


def check_same(theirs: np.ndarray, ours: np.ndarray) -> None:
    """A ratio means something only if both compute the same; bf16 is coarse."""
    correlation = np.corrcoef(theirs.ravel(), ours.ravel())[0, 1]
    assert correlation > 0.999, f"not the same embeddings: correlation {correlation}"


def rates(n: int, times: dict[str, np.ndarray]) -> dict[str, Any]:
    return {"images_per_second": {name: summary(n / values) for name, values in times.items()}}


# ---------------------------------------------------------------------------------------- steps


class EpochTimes(Callback):
    """Times the epochs of a fit, and a bare epoch just before each.

    A whole fit also loads the model and the images, and a difference between fits of more and
    fewer epochs would be one of two large and noisy numbers.
    """

    def __init__(self, bare_epoch: Callable[[], Any]):
        self.bare_epoch = bare_epoch
        self.bare: list[float] = []
        self.ours: list[float] = []

    def on_epoch_begin(self, net: Any, **_: Any) -> None:
        self.bare.append(seconds(self.bare_epoch))
        self._start = time.perf_counter()

    def on_epoch_end(self, net: Any, **_: Any) -> None:
        # the net has read the loss of the epoch by now: nothing is under way on the device
        self.ours.append(time.perf_counter() - self._start)


def bare_training(setting: Setting, X: np.ndarray) -> Callable[[], float]:
    """An epoch of the loop that a user would write."""
    model = create_model(setting.backbone, pretrained=setting.pretrained)
    model.reset_classifier(2)
    model.train().to(setting.device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    pixels, target = torch.from_numpy(X), torch.from_numpy(labels(len(X))[0]).to(setting.device)

    def epoch() -> float:
        losses = []
        for rows in torch.randperm(len(pixels)).split(BATCH):
            batch = normalised(setting, model, pixels[rows])
            with autocast(setting):
                loss = F.cross_entropy(model(batch), target[rows.to(setting.device)])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        return float(torch.stack(losses).mean())  # read once: a GPU need not wait in between

    return epoch


def steps(setting: Setting, X: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    bare_epoch = bare_training(setting, X)
    y, s = labels(len(X))

    def fit(method: type, times: EpochTimes | None = None, epochs: int = EPOCHS) -> None:
        method(
            setting.backbone,
            pretrained=setting.pretrained,
            image_size=setting.trained_size,
            max_epochs=epochs,
            batch_size=BATCH,
            validation_fraction=None,
            refit=None,
            callbacks=None if times is None else [times],
            random_state=0,
            device=setting.device,
        ).fit(X, y, s)

    def step_seconds(method: type) -> tuple[float, float]:
        times = EpochTimes(bare_epoch)
        fit(method, times)
        per_epoch = -(-len(X) // BATCH)
        return np.mean(times.bare[1:]) / per_epoch, np.mean(times.ours[1:]) / per_epoch

    turns = [
        [step_seconds(method) for method in (ERMClassifier, GBMixClassifier)] for _ in range(rounds)
    ]
    (bare, erm), (_, gbmix) = np.transpose(turns, (1, 2, 0))
    which = f"at {setting.trained_size} pixels, batch {BATCH}"
    return [
        record(
            f"`ERMClassifier`, a step of fine-tuning {which}, seconds, to a bare step",
            erm / bare,
            at_most=1.05,
            **rates(BATCH, {"bare": bare, "ours": erm}),
            gpu_utilization=gpu_utilization(partial(fit, ERMClassifier, epochs=10), setting),
        ),
        record(
            "`GBMixClassifier`, the same step, seconds, to that of `ERMClassifier`",
            gbmix / erm,
            at_most=1.4,
            **rates(BATCH, {"ours": gbmix}),
        ),
    ]


# --------------------------------------------------------------------- what is not computed twice


@contextmanager
def counted(model: torch.nn.Module) -> Iterator[Counter[int]]:
    """How often each image goes through a model."""
    counts: Counter[int] = Counter()

    def count(module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        for image in inputs[0].cpu():
            if image.any():  # an image of zeros is no image, but a trial of the model
                counts[hash(image.numpy().tobytes())] += 1

    hook = model.register_forward_pre_hook(count)
    try:
        yield counts
    finally:
        hook.remove()


def shared_model(setting: Setting, image_size: int | None) -> torch.nn.Module:
    """The model that every embedder and frozen classifier of this process uses."""
    return load_backbone(
        setting.backbone,
        pretrained=setting.pretrained,
        image_size=image_size,
        device=setting.device,
    ).model


def second_fit(setting: Setting, X: np.ndarray, rounds: int) -> list[dict[str, Any]]:
    model = shared_model(setting, SIZE)
    y, s = labels(len(X))

    def fit(images: np.ndarray) -> None:
        ERMClassifier(
            setting.backbone,
            pretrained=setting.pretrained,
            trainable=False,
            image_size=SIZE,
            random_state=0,
            device=setting.device,
        ).fit(images, y, s)

    ratios, forwards = [], 0
    for number in range(rounds):
        images = X ^ np.uint8(1 + number)  # images that nobody has seen
        first = seconds(partial(fit, images))
        with counted(model) as counts:
            ratios.append(seconds(partial(fit, images)) / first)
        forwards += counts.total()
    what = f"second fit with a frozen backbone on the same {len(X)} arrays"
    return [
        record(f"{what}: images through the backbone", forwards, at_most=0),
        record(f"{what}, seconds, to the first", ratios),
    ]


def search(setting: Setting, paths: list[str]) -> dict[str, Any]:
    grid = {"head__lr": [0.001, 0.003, 0.01, 0.03], "head__weight_decay": [1e-5, 1e-4, 1e-3]}
    head = ERMClassifier(max_epochs=5, random_state=0, device=setting.device)
    with TemporaryDirectory() as folder, counted(shared_model(setting, None)) as counts:
        embed = embedder(setting, cache_dir=folder)
        pipeline = Pipeline([("embed", embed), ("head", head)])
        took = seconds(lambda: GridSearchCV(pipeline, grid, cv=5).fit(paths, labels(len(paths))[0]))
    assert len(counts) == len(paths), f"{len(counts)} of {len(paths)} images were embedded"
    return record(
        "`GridSearchCV` over 12 settings of the head and 5 folds, with `cache_dir`: how often an "
        "image goes through the backbone, at most",
        max(counts.values()),
        at_most=1,
        images=len(paths),
        seconds=took,
    )


# --------------------------------------------------------------------------------------- memory


def _memory_of_files(paths: list[str]) -> tuple[int, float]:
    model = TimmEmbedder(SMALL, pretrained=False, image_size=64, device="cpu")
    model.transform(paths[:1])  # load every library first
    start = time.perf_counter()
    growth, Z = peak_growth(partial(model.transform, paths))
    return growth - Z.nbytes, time.perf_counter() - start


def measure_memory_of_files(n: int) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        distinct = make_photographs(Path(folder), min(n, DISTINCT))
        paths = (distinct * -(-n // len(distinct)))[:n]
        beyond, took = in_fresh_process(_memory_of_files, paths)
    what = f"`TimmEmbedder.transform`, {n:,} JPEG files: peak memory beyond the result, GiB"
    one = record(what, beyond / 2**30, at_most=2, seconds=took)
    return {"backbone": SMALL, "image_size": 64, "device": "cpu", "records": [one]}
