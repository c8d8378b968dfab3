"""The last stages of a model, and the model cut in front of them."""

import copy
import pickle
import subprocess
import sys
import threading
import weakref

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from gbmix_sklearn.backbones._stages import split_stages, stages

# small images and few blocks where the architecture permits
MODELS = {
    "resnet18": {},
    "resnet50": {},
    "mobilenetv2_100": {},
    "tf_efficientnet_lite0": {},
    "convnext_atto": {},
    "vit_tiny_patch16_224": {"img_size": 64, "depth": 4},
    "swin_tiny_patch4_window7_224": {
        "img_size": 64,
        "window_size": 2,
        "embed_dim": 16,
        "depths": (1, 1, 2, 1),
        "num_heads": (1, 2, 2, 4),
    },
    "densenet121": {"block_config": (2, 2, 3, 2)},
    "vgg11": {},
}
FIXED_SIZE = {"vit_tiny_patch16_224", "swin_tiny_patch4_window7_224"}


def create(name, **options):
    torch.manual_seed(0)
    options = {"pretrained_cfg_overlay": {"input_size": (3, 64, 64)}} | MODELS[name] | options
    model = timm.create_model(name, num_classes=0, **options).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # or a norm in evaluation mode would do nothing
            nn.init.uniform_(module.running_var, 0.5, 2)
    return model


def images(n=2, size=64):
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(n))


def is_trained(part):
    return [parameter.requires_grad for parameter in part.parameters()]


@pytest.mark.parametrize("name", MODELS)
def test_the_parts_together_are_the_model(name):
    model = create(name)
    groups = stages(model)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    cuts = sorted({1, len(groups) // 2, len(groups) - 1} if name != "vgg11" else {1})
    for trainable in cuts:
        frozen, trained = split_stages(model, trainable)
        assert frozen is not None
        assert not frozen.training
        assert not trained.training

        late = {key for stage in groups[-trainable:] for key in stage}
        assert {key for key, _ in trained.named_parameters()} == late
        assert {key for key, value in model.named_parameters() if value.requires_grad} == late
        states = [frozen.state_dict(), trained.state_dict()]
        assert states[0].keys().isdisjoint(states[1])
        assert states[0].keys() | states[1].keys() == before.keys()
        for key, value in (states[0] | states[1]).items():
            assert value.data_ptr() == model.state_dict()[key].data_ptr()
            assert torch.equal(value, before[key])

        with torch.no_grad():
            for batch in (images(1), images(3), *([] if name in FIXED_SIZE else [images(2, 96)])):
                result = trained(frozen(batch))
                assert result.std() > 0
                assert torch.equal(result, model(batch))


@pytest.mark.parametrize("name", ["mobilenetv2_100", "vit_tiny_patch16_224"])
def test_gradients_reach_all_of_the_trained_part_and_nothing_else(name):
    model = create(name)
    frozen, trained = split_stages(model, 2)
    maps = frozen(images())
    assert not maps.requires_grad
    trained(maps).square().sum().backward()
    with_gradient = {key for key, value in model.named_parameters() if value.grad is not None}
    assert with_gradient == {key for stage in stages(model)[-2:] for key in stage}


def test_training_trains_the_model_itself():
    model = create("resnet18")
    frozen, trained = split_stages(model, 1)
    maps = frozen(images())
    trained.train()
    trained(maps)
    assert model.layer4[0].bn1.num_batches_tracked == 1
    assert model.layer4.training
    assert not model.layer3.training
    trained.eval()
    assert torch.equal(trained(maps), model(images()))


def test_stochastic_depth_stays_stochastic_in_training_only():
    _, trained = split_stages(create("convnext_atto", drop_path_rate=0.9), 1)
    maps = torch.randn(8, 160, 4, 4)
    assert torch.equal(trained(maps), trained(maps))
    trained.train()
    # the layer scale makes what a block adds tiny
    nn.init.ones_(trained.stages.get_submodule("3").blocks[1].gamma)
    assert not torch.equal(trained(maps), trained(maps))


def test_everything_is_trained_with_all_stages():
    model = create("resnet18").requires_grad_(False)
    for trainable in (5, "conv1"):
        assert split_stages(model, trainable) == (None, model)
        assert all(is_trained(model))


@pytest.mark.parametrize(
    ("name", "beginnings"),
    [
        ("resnet18", ["conv1", "layer1", "layer2", "layer3", "layer4"]),
        ("mobilenetv2_100", ["conv_stem", *(f"blocks.{i}" for i in range(7))]),
        ("vit_tiny_patch16_224", ["cls_token", *(f"blocks.{i}" for i in range(4))]),
        ("convnext_atto", ["stem", *(f"stages.{i}" for i in range(4))]),
        ("swin_tiny_patch4_window7_224", ["patch_embed", *(f"layers.{i}" for i in range(4))]),
        ("densenet121", ["features.conv0", *(f"features.denseblock{i}" for i in (1, 2, 3, 4))]),
    ],
)
def test_no_stage_is_a_bare_norm(name, beginnings):
    model = create(name)
    groups = stages(model)
    assert [group[0][: len(begin)] for group, begin in zip(groups, beginnings, strict=True)] == (
        beginnings
    )
    assert sorted(key for group in groups for key in group) == sorted(
        key for key, _ in model.named_parameters()
    )


def test_batch_norm_belongs_to_its_convolution():
    with torch.device("meta"):
        model = timm.create_model("vgg11_bn", num_classes=0)
    layers = ("features.4", "features.5")
    assert stages(model)[1] == [
        f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")
    ]


@pytest.mark.parametrize(
    ("name", "stage", "n"),
    [
        ("resnet18", "layer3", 2),
        ("resnet18", "layer3.0", 2),
        ("resnet18", "layer1.0.conv1", 4),
        ("mobilenetv2_100", "blocks.5", 2),
        ("mobilenetv2_100", "blocks", 7),
        ("convnext_atto", "stages.2", 2),
        ("densenet121", "features.denseblock4", 1),
        ("vit_tiny_patch16_224", "patch_embed", 5),
    ],
)
def test_a_stage_is_named_by_any_module_that_it_begins_with(name, stage, n):
    model = create(name)
    split_stages(model, stage)
    by_name = is_trained(model)
    split_stages(model, n)
    assert by_name == is_trained(model)


@pytest.mark.parametrize("n", [0, -1, 6])
def test_an_impossible_number_is_an_error_that_lists_the_stages(n):
    with pytest.raises(ValueError, match=rf"from 1 to 5.* got {n} .*'conv1', 'layer1', 'layer2'"):
        split_stages(create("resnet18"), n)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("layr3", "did you mean 'layer3'.* 'layer3', 'layer4'"),
        ("layer3.1", "no stage begins at trainable='layer3.1'"),  # within a stage
        ("bn1", "no stage begins at"),
        ("", "no stage begins at"),
    ],
)
def test_an_unknown_name_is_an_error_that_lists_the_stages(stage, message):
    model = create("resnet18")
    with pytest.raises(ValueError, match=message):
        split_stages(model, stage)
    assert all(is_trained(model))


@pytest.mark.parametrize("trainable", [True, 1.0, None])
def test_only_numbers_and_names_are_accepted(trainable):
    with pytest.raises(TypeError, match="number of stages or the name"):
        split_stages(create("resnet18"), trainable)


def test_a_model_without_stages_is_an_error():
    with pytest.raises(ValueError, match="does not divide a Linear into stages"):
        stages(nn.Linear(2, 2))


class Toy(nn.Module):
    """Three stages, with a forward to be overwritten."""

    pretrained_cfg = {"input_size": (3, 8, 8)}

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv1 = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.conv2 = nn.Conv2d(4, 4, 3)
        self.conv3 = nn.Conv2d(4, 4, 3)

    def group_matcher(self, coarse):
        return {"stem": r"conv1|scale", "blocks": r"conv(\d)"}

    def forward(self, x):
        return self.conv3(self.conv2(F.relu(self.conv1(x)))).mean((2, 3))


class Own(Toy):
    """A parameter, buffers and optional arguments of the model itself."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(4, 1, 1))
        self.register_buffer("shift", torch.rand(4, 1, 1))
        self.register_buffer("offset", torch.rand(4, 1, 1), persistent=False)

    def forward(self, x, unused=None, flag=False):
        x = self.conv1(x) * self.scale
        if flag or unused is not None:
            raise AssertionError
        x = self.conv2(x)
        return self.conv3(torch.add(x, other=self.shift) - self.offset).mean((2, 3))


class TwoTensors(Toy):
    def forward(self, x):
        x = self.conv1(x)
        return self.conv3(self.conv2(x)).mean((2, 3)) * x.mean((2, 3))


class Pair(nn.Conv2d):
    def forward(self, x):
        return (super().forward(x[0] if isinstance(x, tuple) else x),) * 2


class PairOfTensors(Toy):
    def __init__(self):
        super().__init__()
        self.conv2 = Pair(4, 4, 3)
        self.conv3 = Pair(4, 4, 3)

    def forward(self, x):
        return self.conv3(self.conv2(self.conv1(x)))[0].mean((2, 3))


class Constant(Own):
    def forward(self, x):
        return super().forward(x * torch.full((1,), 2.0))  # which is made while tracing


class Dropout(Toy):
    def forward(self, x):
        x = F.dropout(self.conv1(x), 0.5, training=self.training)
        return self.conv3(self.conv2(x)).mean((2, 3))


class Checkpointed(Toy):
    grad_checkpointing = True


class ControlFlow(Toy):
    def forward(self, x):
        return super().forward(x if x.sum() > 0 else -x)


class FooledByTracing(Toy):
    def forward(self, x):
        return super().forward(x.relu() if isinstance(x, torch.Tensor) else -x)


class Unused(Toy):
    def __init__(self):
        super().__init__()
        self.unused = nn.BatchNorm2d(4, affine=False)


class InPlace(nn.Conv2d):
    def forward(self, x):
        return super().forward(x.mul_(2))


class WritesToItsInput(Toy):
    def __init__(self):
        super().__init__()
        self.conv3 = InPlace(4, 4, 3)


class WrongOrder(Toy):
    def forward(self, x):
        return self.conv2(self.conv3(self.conv1(x))).mean((2, 3))


FALLBACKS = [
    TwoTensors,
    PairOfTensors,
    Constant,
    Dropout,
    Checkpointed,
    ControlFlow,
    FooledByTracing,
    Unused,
    WritesToItsInput,
    WrongOrder,
]


def test_the_plain_toy_can_be_cut():
    """So what the others change about it is what keeps them from it."""
    for toy in (Toy(), Own()):
        assert split_stages(toy.eval(), 1).frozen is not None


def test_optional_arguments_and_tensors_of_the_model_itself_are_no_obstacle():
    model = Own().eval()
    frozen, trained = split_stages(model, 2)
    assert set(frozen.state_dict()) == {"scale", *(key for key in model.state_dict() if "1" in key)}
    assert "shift" in trained.state_dict()
    assert "offset" not in trained.state_dict()
    assert torch.equal(trained(frozen(images())), model(images()))


@pytest.mark.parametrize("toy", FALLBACKS)
def test_a_model_that_cannot_be_cut_is_trained_whole(toy):
    model = toy().eval()
    state, expected = copy.deepcopy(model.state_dict()), model(images())
    assert split_stages(model, 1) == (None, model)
    late = [key for key, value in model.named_parameters() if value.requires_grad]
    assert late == ["conv3.weight", "conv3.bias"]
    assert torch.equal(model(images()), expected)
    assert model.state_dict().keys() == state.keys()
    assert all(torch.equal(value, state[key]) for key, value in model.state_dict().items())
    assert not any(module.training for module in model.modules())


@pytest.mark.parametrize("copied", [lambda model: model, copy.deepcopy])
def test_frozen_stages_of_a_whole_model_stay_in_evaluation_mode(copied):
    _, model = split_stages(TwoTensors().eval(), 1)
    model = copied(model).train()
    statistics = model.conv1[1].running_mean.clone()
    model(images())
    assert torch.equal(model.conv1[1].running_mean, statistics)
    assert model.conv3.training
    split_stages(model, 3)
    model.train()(images())
    assert not torch.equal(model.conv1[1].running_mean, statistics)


@pytest.mark.parametrize("options", [{"drop_rate": 0.5}, {}])
def test_dropout_in_a_forward_of_timms_is_kept(options):
    model = create("resnet18", **options)
    frozen = split_stages(model, 1).frozen
    assert (frozen is None) == bool(options)
    if options:
        model.train()
        assert not torch.equal(model(images()), model(images()))


def test_timms_checkpointing_is_kept():
    model = create("vit_tiny_patch16_224")
    model.set_grad_checkpointing()
    assert split_stages(model, 1).frozen is None
    model.set_grad_checkpointing(False)
    assert split_stages(model, 1).frozen is not None


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "vit_tiny_patch16_224"])
@pytest.mark.parametrize("copied", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])
def test_copies_do_the_same_on_their_own(name, copied):
    model = create(name)
    split = split_stages(model, 2)
    frozen, trained = copied(split)
    expected = model(images())
    assert torch.equal(trained(frozen(images())), expected)
    assert trained.state_dict().keys() == split.trained.state_dict().keys()
    assert is_trained(trained) == is_trained(split.trained)
    assert is_trained(frozen) == is_trained(split.frozen)
    with torch.no_grad():
        for parameter in (*frozen.parameters(), *trained.parameters()):
            parameter.zero_()
    assert torch.equal(model(images()), expected)


def test_a_pickle_opens_in_another_process(tmp_path):
    models = [create("resnet18"), create("vit_tiny_patch16_224")]
    contents = [(split_stages(model, 1), model(images()).detach()) for model in models]
    file = tmp_path / "splits.pkl"
    file.write_bytes(pickle.dumps((images(), contents)))
    program = (
        "import pickle, sys, torch\n"
        "torch.set_num_threads(1)\n"
        "images, contents = pickle.load(open(sys.argv[1], 'rb'))\n"
        "for (frozen, trained), expected in contents:\n"
        "    torch.testing.assert_close(trained(frozen(images)), expected)\n"
        "print('the same')\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.stdout == "the same\n", result.stderr


@pytest.mark.parametrize("name", ["resnet18", "vit_tiny_patch16_224"])
def test_type_and_memory_format_change_as_in_the_model(name):
    model = create(name)
    frozen, trained = split_stages(model, 1)
    for part in (frozen, trained):
        part.to(memory_format=torch.channels_last)
    batch = images().contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(trained(frozen(batch)), model(batch))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(trained(frozen(batch)), model(batch))
        for part in (frozen, trained):
            part.to(torch.float64)
        result = trained(frozen(batch.double()))
        assert result.dtype == torch.float64
        assert torch.equal(result, model.double()(batch.double()))


def test_values_are_freed_once_they_are_used():
    model = Own().eval()
    frozen, trained = split_stages(model, 2)
    alive = []
    model.conv2.register_forward_hook(lambda _, __, value: alive.append(weakref.ref(value)))
    model.conv3.register_forward_hook(lambda *_: alive.append(alive[0]() is not None))
    with torch.no_grad():
        trained(frozen(images()))
    assert alive[1] is False


def test_other_threads_go_on_meanwhile():
    other, errors, done = create("resnet18"), [], threading.Event()
    expected = other(images(1, 32)).detach()

    def embed():
        try:
            while not done.is_set():
                assert torch.equal(other(images(1, 32)), expected)
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=embed)
    thread.start()
    for _ in range(5):
        assert split_stages(create("mobilenetv2_100"), 2).frozen is not None
    done.set()
    thread.join()
    assert not errors
