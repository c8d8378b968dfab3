"""Training images vary as torchvision's do, by the generator that is handed in and nothing else."""

import math
import multiprocessing
import random
import threading
import time

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from scipy import stats
from sklearn.datasets import load_sample_image

from gbmix_sklearn.backbones._augment import draw_boxes, make_augmentation, whole
from gbmix_sklearn.backbones._images import Images, Picture
from gbmix_sklearn.backbones._pixels import PixelStore, decode
from gbmix_sklearn.backbones._preprocess import Preprocess

SIZE = 32
PHOTOS = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
# workers are forked from a process that has threads, which newer versions of Python warn about
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")


@pytest.fixture(scope="module")
def preprocess():
    return Preprocess.of(timm.create_model("resnet18"), SIZE)


@pytest.fixture(scope="module")
def uniform():
    pixels = np.stack([PHOTOS[i % 2][9 * i : 9 * i + SIZE, :SIZE] for i in range(20)])
    return PixelStore(pixels, rows=np.arange(100, 120))


@pytest.fixture(scope="module")
def ragged():
    images = [PHOTOS[i % 2][7 * i : 7 * i + 50 + i, 5 * i : 5 * i + 90 - 3 * i] for i in range(20)]
    return PixelStore(images, rows=np.arange(100, 120))


POSITIONS = [np.array([3, 1, 4, 1]), np.array([19, 0, 7, 8]), np.array([5])]


def batches(augmentation, store, seed=0, positions=POSITIONS):
    return list(augmentation.batches(store, positions, np.random.default_rng(seed)))


def same(a, b):
    return len(a) == len(b) and all(map(torch.equal, a, b))


def one_image(pixels, n):
    """A store of one image, and a batch of it n times."""
    return PixelStore([pixels]), [np.zeros(n, dtype=np.int64)]


def test_none_takes_images_as_they_are(preprocess, uniform):
    augmentation = make_augmentation(None, preprocess)
    assert augmentation.size_limit is None
    for batch, positions in zip(batches(augmentation, uniform), POSITIONS, strict=True):
        assert torch.equal(batch, uniform.take(positions))


def test_flip_mirrors_half_of_the_images(preprocess):
    augmentation = make_augmentation("flip", preprocess)
    assert augmentation.size_limit is None
    pixels = PHOTOS[0][:8, :9]
    store, positions = one_image(pixels, 4000)
    [batch] = batches(augmentation, store, positions=positions)
    mirrored = (batch.numpy() == pixels[:, ::-1]).all(axis=(1, 2, 3))
    plain = (batch.numpy() == pixels).all(axis=(1, 2, 3))
    assert (mirrored ^ plain).all()
    assert stats.binomtest(int(mirrored.sum()), 4000).pvalue > 1e-4
    together = np.mean(mirrored[1:] == mirrored[:-1])  # one by one, not the batch
    assert abs(together - 0.5) < 0.05


def slow_box(height, width, generator):
    """RandomResizedCrop.get_params as torchvision documents it, one image at a time."""
    for _ in range(10):
        area = height * width * generator.uniform(0.7, 1.0)
        ratio = math.exp(generator.uniform(math.log(3 / 4), math.log(4 / 3)))
        w = round(math.sqrt(area * ratio))
        h = round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = generator.randint(0, height - h)
            left = generator.randint(0, width - w)
            return left, top, left + w, top + h
    if width / height < 3 / 4:
        w, h = width, round(width / (3 / 4))
    elif width / height > 4 / 3:
        w, h = round(height * (4 / 3)), height
    else:
        w, h = width, height
    top, left = (height - h) // 2, (width - w) // 2
    return left, top, left + w, top + h


@pytest.mark.parametrize("size", [(268, 268), (268, 330), (400, 268), (60, 90), (30, 45)])
def test_boxes_are_distributed_as_torchvisions(size):
    n = 20000
    boxes = draw_boxes(np.tile(size, (n, 1)), np.random.default_rng(0))
    generator = random.Random(0)
    slow = np.array([slow_box(*size, generator) for _ in range(n)])
    for name, quantity in {
        "area": lambda b: (b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]),
        "ratio": lambda b: (b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1]),
        "left": lambda b: b[:, 0],
        "bottom": lambda b: b[:, 3],
        "horizontal against vertical": lambda b: b[:, 0] - b[:, 1],
    }.items():
        assert stats.ks_2samp(quantity(boxes), quantity(slow)).pvalue > 1e-3, name
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= size[::-1]).all()


@pytest.mark.parametrize(
    "size", [(100, 1000), (1000, 100), (1, 1), (1, 2), (2, 1), (1, 9), (37, 99)]
)
def test_boxes_of_images_that_no_try_fits_into(size):
    torchvision = pytest.importorskip("torchvision")
    boxes = draw_boxes(np.tile(size, (50, 1)), np.random.default_rng(0))
    image = torch.zeros(1, *size)
    parameters = torchvision.transforms.RandomResizedCrop.get_params
    seen = set()
    for _ in range(500):
        top, left, h, w = parameters(image, [0.7, 1.0], [3 / 4, 4 / 3])
        seen.add((left, top, left + w, top + h))
    assert set(map(tuple, boxes.tolist())) <= seen


def test_sizes_of_a_batch_are_their_own():
    sizes = np.array([[268, 268], [60, 90], [1000, 100]] * 4000)
    boxes = draw_boxes(sizes, np.random.default_rng(0))
    for i in range(3):
        alone = draw_boxes(sizes[i::3], np.random.default_rng(1))
        for column in range(4):
            assert stats.ks_2samp(boxes[i::3, column], alone[:, column]).pvalue > 1e-3


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_standard_crops_and_resizes_as_pillow(interpolation, ragged, monkeypatch):
    model = timm.create_model("resnet18")
    monkeypatch.setattr(
        model,
        "pretrained_cfg",
        model.pretrained_cfg | {"interpolation": interpolation, "input_size": (3, 40, 48)},
    )
    preprocess = Preprocess.of(model)
    resample = getattr(Image.Resampling, interpolation.upper())
    assert preprocess.resample == resample
    augmentation = make_augmentation("standard", preprocess)
    assert augmentation.size_limit == math.ceil(48 / math.sqrt(0.7))
    rng = np.random.default_rng(0)
    for batch, positions in zip(batches(augmentation, ragged), POSITIONS, strict=True):
        assert batch.shape == (len(positions), 40, 48, 3)
        boxes = draw_boxes(ragged.sizes[positions], rng)
        mirrored = rng.random(len(positions)) < 0.5
        for image, position, box, mirror in zip(batch, positions, boxes, mirrored, strict=True):
            crop = Image.fromarray(ragged[position]).crop(tuple(box.tolist()))
            expected = np.asarray(crop.resize((48, 40), resample))
            np.testing.assert_array_equal(image, expected[:, ::-1] if mirror else expected)


def test_standard_mirrors_half_of_the_images(preprocess):
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, 20:] = 255
    store, positions = one_image(pixels, 1000)
    [batch] = batches(make_augmentation("standard", preprocess), store, positions=positions)
    mirrored = int((batch[:, :, 0].float().mean(dim=(1, 2)) > 128).sum())
    assert stats.binomtest(mirrored, 1000).pvalue > 1e-4


def test_whole_images_are_reduced_and_not_cropped(tmp_path):
    photo = Image.fromarray(PHOTOS[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    photo.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    picture = Images([tmp_path / "turned.png"])[0]
    pixels = whole(picture, 100, Image.Resampling.BILINEAR)
    assert pixels.shape == (100, round(100 * photo.width / photo.height), 3)
    fair = np.asarray(photo.resize(pixels.shape[1::-1], Image.Resampling.BILINEAR))
    assert np.abs(pixels.astype(float) - fair).mean() < 2
    for limit in (427, 1000):
        np.testing.assert_array_equal(whole(picture, limit, Image.Resampling.BILINEAR), PHOTOS[0])
    grey = Picture(np.zeros((10, 400), np.uint8), "")
    assert whole(grey, 3, Image.Resampling.BICUBIC).shape == (3, 120, 3)


def test_from_files_to_batches(preprocess, tmp_path):
    paths = [tmp_path / f"{i}.jpg" for i in range(5)]
    for i, path in enumerate(paths):
        Image.fromarray(PHOTOS[i % 2][20 * i :]).save(path)
    augmentation = make_augmentation("standard", preprocess)
    limit = augmentation.size_limit
    stores = [
        decode(
            Images(paths),
            lambda row, picture: whole(picture, limit, preprocess.resample),
            shape=None,
            recipe=f"short side {limit}",
            folder=folder,
        )
        for folder in (None, tmp_path / "cache")
    ]
    assert (stores[0].sizes.min(axis=1) == limit).all()
    positions = [np.array([4, 2]), np.array([0, 1])]
    results = [batches(augmentation, store, positions=positions) for store in stores]
    assert same(*results)


def draws(image):
    """Uses all generators that transforms use, and is not of the backbone's size."""
    shift = random.randrange(9), np.random.randint(9), int(torch.randint(9, (1,)))  # noqa: NPY002
    return Image.fromarray(np.asarray(image) // 2 + np.array(shift, dtype=np.uint8))


AUGMENTS = [None, "flip", "standard", draws]


@pytest.mark.parametrize("augment", AUGMENTS)
def test_the_generator_decides(augment, preprocess, uniform):
    augmentation = make_augmentation(augment, preprocess)
    first = batches(augmentation, uniform)
    assert same(first, batches(augmentation, uniform))
    assert same(first, batches(make_augmentation(augment, preprocess), uniform))
    assert same(first, batches(augmentation, uniform, seed=1)) == (augment is None)
    assert same(first[:2], batches(augmentation, uniform, positions=np.stack(POSITIONS[:2])))
    if augment is draws:
        assert not torch.equal(first[0][1], first[0][3]), "the same image, drawn for twice"


def global_states():
    return (
        random.getstate(),
        [np.asarray(part).tolist() for part in np.random.get_state()],  # noqa: NPY002
        torch.get_rng_state().tolist(),
    )


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize("augment", AUGMENTS)
def test_global_states_stay_untouched(augment, num_workers, preprocess, uniform):
    before = global_states()
    augmentation = make_augmentation(augment, preprocess, num_workers)
    for _ in augmentation.batches(uniform, POSITIONS, np.random.default_rng(0)):
        assert global_states() == before
    assert global_states() == before


def fails(image):
    raise KeyError("hue")


def test_global_states_stay_untouched_by_errors(preprocess, uniform):
    before = global_states()
    with pytest.raises(RuntimeError, match="hue"):
        batches(make_augmentation(fails, preprocess), uniform)
    assert global_states() == before


def test_no_device_is_woken_up(preprocess, uniform, monkeypatch):
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("seeds GPUs"))
    batches(make_augmentation(draws, preprocess), uniform)
    assert not torch.cuda.is_initialized()


def test_any_number_of_workers_gives_the_same(preprocess, ragged):
    expected = [batches(make_augmentation(draws, preprocess), ragged, seed) for seed in range(2)]
    augmentation = make_augmentation(draws, preprocess, 2)
    processes = set()
    for seed in range(2):
        assert same(expected[seed], batches(augmentation, ragged, seed))
        processes |= {process.pid for process in multiprocessing.active_children()}
    assert len(processes) == 2, "the second epoch has the workers of the first"
    other = PixelStore([PHOTOS[0]] * 20)
    assert batches(augmentation, other)[0].shape == (4, SIZE, SIZE, 3)
    del augmentation
    assert_no_child_is_left()


def assert_no_child_is_left():
    for _ in range(100):
        if not multiprocessing.active_children():
            return
        time.sleep(0.05)
    pytest.fail("worker processes are left")


@pytest.mark.parametrize(("augment", "num_workers"), [("standard", 0), (draws, 0), (draws, 2)])
def test_stops_cleanly_when_closed_early(augment, num_workers, preprocess, ragged):
    augmentation = make_augmentation(augment, preprocess, num_workers)
    expected = batches(augmentation, ragged)
    threads = threading.active_count()
    for n in (0, 1, 2):
        running = augmentation.batches(ragged, POSITIONS * 20, np.random.default_rng(0))
        assert same(expected[:n], [next(running) for _ in range(n)])
        running.close()
        assert threading.active_count() <= threads
        if n:
            assert_no_child_is_left()
    assert same(expected, batches(augmentation, ragged))


@pytest.mark.parametrize(("augment", "num_workers"), [("standard", 0), (draws, 1)])
def test_runs_in_another_thread(augment, num_workers, preprocess, ragged):
    augmentation = make_augmentation(augment, preprocess, num_workers)
    assert augmentation.in_background
    results = []
    thread = threading.Thread(target=lambda: results.append(batches(augmentation, ragged)))
    thread.start()
    thread.join()
    assert same(results[0], batches(make_augmentation(augment, preprocess), ragged))


def test_two_epochs_at_once_do_not_mix(preprocess, ragged):
    augmentation = make_augmentation(draws, preprocess, 1)
    expected = [batches(augmentation, ragged, seed) for seed in (0, 1)]
    running = [augmentation.batches(ragged, POSITIONS, np.random.default_rng(s)) for s in (0, 1)]
    for pair in zip(*running, *expected, strict=True):
        assert torch.equal(pair[0], pair[2])
        assert torch.equal(pair[1], pair[3])


def test_transforms_in_this_process_share_global_generators(preprocess):
    assert not make_augmentation(draws, preprocess).in_background


def test_torchvision_transforms(preprocess, ragged):
    transforms = pytest.importorskip("torchvision.transforms")
    crop = transforms.RandomResizedCrop(SIZE, interpolation=transforms.InterpolationMode.BICUBIC)
    jitter = [transforms.ColorJitter(0.3, 0.3, 0.3), transforms.RandomHorizontalFlip()]
    transform = transforms.Compose([crop, *jitter])
    augmentation = make_augmentation(transform, preprocess)
    assert augmentation.size_limit == 2 * SIZE
    rng = np.random.default_rng(0)
    for batch, positions in zip(batches(augmentation, ragged), POSITIONS, strict=True):
        seeds = rng.integers(1 << 32, size=len(positions))
        for image, position, seed in zip(batch, positions, seeds, strict=True):
            torch.manual_seed(int(seed))
            expected = transform(Image.fromarray(ragged[position]))
            np.testing.assert_array_equal(image, np.asarray(expected))
    tensors = transforms.Compose([transform, transforms.PILToTensor()])
    assert same(
        batches(augmentation, ragged), batches(make_augmentation(tensors, preprocess), ragged)
    )


def test_torchvision_v2_transforms(preprocess, ragged):
    v2 = pytest.importorskip("torchvision.transforms.v2")
    ending = {
        "image": [],
        "tensor": [v2.PILToTensor()],
        "wrapped": [v2.ToImage()],
        "uint8": [v2.ToImage(), v2.ToDtype(torch.uint8, scale=True)],
    }
    results = [
        batches(
            make_augmentation(v2.Compose([v2.RandomResizedCrop(SIZE), *end]), preprocess), ragged
        )
        for end in ending.values()
    ]
    assert all(same(results[0], result) for result in results[1:])


@pytest.mark.parametrize(
    "form",
    [
        lambda image: image,
        np.asarray,
        lambda image: torch.from_numpy(np.array(image)).permute(2, 0, 1),
        lambda image: image.convert("RGBA"),
    ],
)
def test_other_sizes_go_through_the_backbones_preprocessing(form):
    # with a margin, which images that come in the right size are not cropped for once more
    preprocess = Preprocess.of(timm.create_model("resnet18"))
    store = PixelStore([PHOTOS[0][:224, :224], PHOTOS[1][:, :300]])
    [batch] = batches(make_augmentation(form, preprocess), store, positions=[np.array([0, 1])])
    images = [np.asarray(form(Image.fromarray(store[i]))) for i in range(2)]
    images = [np.moveaxis(i, 0, -1) if i.shape[0] == 3 else i[..., :3] for i in images]
    np.testing.assert_array_equal(batch[0], images[0])
    expected = preprocess.pixels(Picture(np.ascontiguousarray(images[1]), ""))
    np.testing.assert_array_equal(batch[1], expected)


def test_grey_results_become_colour(preprocess, ragged):
    grey = [
        batches(make_augmentation(form, preprocess), ragged)
        for form in (
            lambda image: image.convert("L"),
            lambda image: np.asarray(image.convert("L")),
            lambda image: torch.from_numpy(np.array(image.convert("L")))[None],
        )
    ]
    assert same(grey[0], grey[1])
    assert same(grey[0], grey[2])


@pytest.mark.parametrize("num_workers", [0, 1])
@pytest.mark.parametrize(
    ("augment", "error", "message"),
    [
        (lambda image: np.asarray(image) / 255, TypeError, "of float64; .*before ToTensor"),
        (lambda image: torch.rand(3, 5, 5), TypeError, "of torch.float32; .*before ToTensor"),
        (lambda image: None, TypeError, "uint8 array .*; got NoneType"),
        (lambda image: np.zeros((3, 5, 5), np.uint8), ValueError, "uint8 array"),
        (lambda image: np.asarray(image).astype(int), ValueError, "got int64"),
        (lambda image: image.convert("F"), ValueError, "float image"),
        (fails, RuntimeError, "transform given in augment raised KeyError: 'hue'"),
    ],
)
def test_errors_of_transforms_name_the_row(
    augment, error, message, num_workers, preprocess, ragged
):
    with pytest.raises(error, match=f"row 103.*{message}"):
        batches(make_augmentation(augment, preprocess, num_workers), ragged)
    assert_no_child_is_left()


def test_totensor_of_torchvision_is_explained(preprocess, ragged):
    transforms = pytest.importorskip("torchvision.transforms")
    with pytest.raises(TypeError, match=r"row 103, .*before ToTensor and Normalize"):
        batches(make_augmentation(transforms.ToTensor(), preprocess), ragged)


@pytest.mark.parametrize(
    ("augment", "error"),
    [
        ("flips", ValueError),
        ("", ValueError),
        (3, TypeError),
        (True, TypeError),
        (["flip"], TypeError),
    ],
)
def test_other_choices_are_refused(augment, error, preprocess):
    with pytest.raises(error, match=r"must be None, 'flip', 'standard' or a callable.*got"):
        make_augmentation(augment, preprocess)
