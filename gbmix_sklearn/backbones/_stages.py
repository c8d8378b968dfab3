"""Train the last stages of a model only: what they are, and the model cut in front of them.

What the frozen stages make of an image never changes, so it need be computed only once.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral
from threading import RLock, get_ident
from typing import Any, NamedTuple

import torch
from timm.models import group_parameters
from torch import fx, nn

__all__ = ["Split", "split_stages", "stages"]

# fx patches torch while it traces, so only one thread may at a time
_TRACING = RLock()
# operations of a graph whose target is a qualified name within the model
_OF_MODEL = ("call_module", "get_attr")


class Split(NamedTuple):
    """A model in two parts: ``trained(frozen(images))`` is ``model(images)``.

    Both share modules, parameters and their names with the model.

    Attributes
    ----------
    frozen : nn.Module or None
        From images to feature maps; to be used in evaluation mode. None if all of the model is
        trained, or if it could not be cut.
    trained : nn.Module
        From feature maps to embeddings; from images if `frozen` is None.
    """

    frozen: nn.Module | None
    trained: nn.Module


def stages(model: nn.Module) -> list[list[str]]:
    """Name the parameters of every stage, as timm groups them.

    Parameters
    ----------
    model : nn.Module
        A model of timm's.

    Returns
    -------
    list of list of str
        Stages in the order of the forward, the stem first. Norms that timm has as groups of their
        own belong to the stage before them.

    Raises
    ------
    ValueError
        If timm knows of no stages.

    Examples
    --------
    >>> import timm
    >>> from gbmix_sklearn.backbones._stages import stages
    >>> model = timm.create_model("resnet18", num_classes=0)
    >>> [len(stage) for stage in stages(model)]
    [3, 12, 15, 15, 15]
    >>> stages(model)[0]
    ['conv1.weight', 'bn1.weight', 'bn1.bias']
    """
    if not hasattr(model, "group_matcher"):
        raise ValueError(
            f"timm does not divide a {type(model).__name__} into stages; use trainable=True, "
            "trainable=False or another backbone"
        )
    matcher: Any = model.group_matcher  # timm's methods are untyped
    parameters = dict(model.named_parameters())
    merged: list[list[str]] = []
    for names in group_parameters(model, matcher(coarse=True)).values():
        # scales and shifts are vectors; what transforms features has a matrix or a filter
        if merged and all(parameters[name].ndim <= 1 for name in names):
            merged[-1].extend(names)
        else:
            merged.append(list(names))
    return merged


def split_stages(model: nn.Module, trainable: int | str) -> Split:
    """Freeze the first stages of a model, and cut it behind them.

    Parameters
    ----------
    model : nn.Module
        A model of timm's without its classifier. Its parameters require a gradient afterwards if
        and only if they are of a trained stage.
    trainable : int or str
        How many of the last stages are trained; or the name of the first one that is, or of a
        module that it begins with.

    Returns
    -------
    Split
        The two parts. A model is cut only where a single tensor goes from one part to the other,
        and where its forward can be traced. Where it cannot be cut, it keeps its frozen stages in
        evaluation mode by itself, so that the results are the same.

    Raises
    ------
    TypeError
        If `trainable` is neither a number nor a name.
    ValueError
        If the model has fewer stages, or none of this name.

    Examples
    --------
    >>> import timm, torch
    >>> from gbmix_sklearn.backbones._stages import split_stages
    >>> model = timm.create_model("resnet18", num_classes=0)
    >>> frozen, trained = split_stages(model, "layer3")
    >>> maps = frozen(torch.zeros(1, 3, 64, 64))
    >>> maps.shape
    torch.Size([1, 128, 8, 8])
    >>> trained(maps).shape
    torch.Size([1, 512])
    >>> [name for name, _ in trained.named_children()]
    ['layer3', 'layer4', 'global_pool', 'fc']
    """
    groups = stages(model)
    first = _first_trained(groups, trainable)
    trained = {name for stage in groups[first:] for name in stage}
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in trained)
    if first == 0:
        return Split(None, model)
    split = _cut(model)
    if split is None:
        model.register_forward_pre_hook(_rest_frozen)
        return Split(None, model)
    for part in filter(None, split):
        for name, module in part.named_modules():
            module.training = model.get_submodule(name).training
    return split


def _first_trained(groups: list[list[str]], trainable: int | str) -> int:
    names = [_name_stage(groups, index) for index in range(len(groups))]
    listing = f"the model has {len(names)} stages: {', '.join(map(repr, names))}"
    if isinstance(trainable, str):
        begins: dict[str, int] = {}
        for index, stage in enumerate(groups):
            for name in (names[index], *_modules_around(_first_of_module(stage))):
                begins.setdefault(name, index)
        if trainable in begins:
            return begins[trainable]
        near = get_close_matches(trainable, begins, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"no stage begins at trainable={trainable!r}{hint} ({listing})")
    if isinstance(trainable, bool) or not isinstance(trainable, Integral):
        raise TypeError(
            f"trainable must be a number of stages or the name of one; got {trainable!r}"
        )
    if not 1 <= trainable <= len(groups):
        raise ValueError(
            f"trainable must be from 1 to {len(groups)}, or a name; got {trainable} ({listing})"
        )
    return len(groups) - int(trainable)


def _name_stage(groups: list[list[str]], index: int) -> str:
    """Find the outermost module at the begin of a stage that holds nothing of another stage."""
    others = [name for stage in groups[:index] + groups[index + 1 :] for name in stage]
    first = _first_of_module(groups[index])
    around = _modules_around(first)
    own = (name for name in around if not any(other.startswith(f"{name}.") for other in others))
    return next(own, around[-1])


def _first_of_module(stage: list[str]) -> str:
    # a stem's class token and position embedding, owned by the model itself, name no module
    return next((name for name in stage if "." in name), stage[0])


def _modules_around(parameter: str) -> list[str]:
    """List the modules around a parameter from the outermost to the innermost."""
    parts = parameter.split(".")
    return [".".join(parts[:depth]) for depth in range(1, len(parts))] or [parameter]


def _rest_frozen(model: nn.Module, _: Any) -> None:
    """Evaluation mode for whatever has nothing to train; a hook that runs before each forward."""
    for module in model.modules():
        flags = [parameter.requires_grad for parameter in module.parameters()]
        if flags and not any(flags):
            module.eval()


def _cut(model: nn.Module) -> Split | None:
    try:
        with _mode(model, training=True):
            training_graph = _trace(model)
        with _mode(model, training=False):
            graph = _trace(model)
            # dropout within a traced forward, say, would be stuck in one of the modes
            if str(graph) != str(training_graph):
                return None
            split = _divide(model, graph)
            return split if split and _is_exact(model, split) else None
    except Exception:  # tracing runs any code on what is no tensor; the whole model still works
        return None


@contextmanager
def _mode(model: nn.Module, *, training: bool) -> Iterator[None]:
    before = [(module, module.training) for module in model.modules()]
    model.train(training)
    try:
        yield
    finally:
        for module, flag in before:
            module.training = flag


def _trace(model: nn.Module) -> fx.Graph:
    # only what holds the border is opened: all else works as ever, in either mode
    opened = {
        module
        for module in model.modules()
        if {parameter.requires_grad for parameter in module.parameters()} == {True, False}
    }
    if any(getattr(module, "grad_checkpointing", False) for module in opened):
        raise fx.proxy.TraceError("a traced forward would lose its checkpoints")
    with _TRACING:
        return _Tracer(opened).trace(_OneArgument(model))


class _OneArgument(nn.Module):
    """Leaves a forward's optional arguments at their defaults; fx would make inputs of them."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.model(images)


class _Tracer(fx.Tracer):
    def __init__(self, opened: set[nn.Module]) -> None:
        super().__init__()
        self.opened = opened
        self.thread = get_ident()

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return m not in self.opened

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        # fx's patch catches the modules of all threads
        if get_ident() != self.thread:
            return forward(*args, **kwargs)
        return super().call_module(m, forward, args, kwargs)

    def create_arg(self, a: Any) -> Any:
        own = (*self.root.parameters(), *self.root.buffers())
        if isinstance(a, torch.Tensor) and not any(a is tensor for tensor in own):
            # of this image size, device or value of a parameter, and yet for good
            raise fx.proxy.TraceError("the forward computes a tensor that would become a constant")
        return super().create_arg(a)


def _divide(model: nn.Module, graph: fx.Graph) -> Split | None:
    images, *nodes, output = graph.nodes
    (result,) = output.args
    late: set[fx.Node] = set()
    for node in nodes:
        if _is_trained(model, node) or not late.isdisjoint(node.all_input_nodes):
            late.add(node)
    # buffers that the model itself owns go where they are used
    late |= {node for node in nodes if node.op == "get_attr" and late.issuperset(node.users)}
    border = {used for node in late for used in node.all_input_nodes} - late
    if len(border) != 1 or result not in late:
        return None
    (cut,) = border
    frozen = _Part(model, [node for node in nodes if node not in late], images, cut)
    return Split(frozen, _Part(model, [node for node in nodes if node in late], cut, result))


def _is_trained(model: nn.Module, node: fx.Node) -> bool:
    if node.op not in _OF_MODEL:
        return False
    target = operator.attrgetter(_target(node))(model)
    tensors = target.parameters() if isinstance(target, nn.Module) else [target]
    return any(tensor.requires_grad for tensor in tensors)


def _target(node: fx.Node) -> Any:
    return str(node.target).removeprefix("model.") if node.op in _OF_MODEL else node.target


@dataclass(frozen=True)
class _Value:
    """Stands for the result of a step among the arguments of another."""

    name: str


class _Step(NamedTuple):
    """One node of a graph, and the values that nothing needs after it."""

    name: str
    op: str
    target: Any
    args: Any
    kwargs: Any
    done: list[str]


class _Part(nn.Module):
    """A stretch of a model's forward, over the model's own modules.

    A `torch.fx.GraphModule` would do, but loading one from a pickle traces it again, which is not
    safe while other threads use torch.
    """

    def __init__(
        self, model: nn.Module, nodes: list[fx.Node], source: fx.Node, result: fx.Node
    ) -> None:
        super().__init__()
        self._source, self._result = source.name, result.name
        last = {used: node for node in nodes for used in node.all_input_nodes}
        self._steps = [
            _Step(
                node.name,
                node.op,
                _target(node),
                fx.node.map_arg(node.args, _value),
                fx.node.map_arg(node.kwargs, _value),
                [used.name for used, by in last.items() if by is node and used is not result],
            )
            for node in nodes
        ]
        for node in nodes:
            if node.op in _OF_MODEL:
                _share(model, self, _target(node))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values = {self._source: x}

        def fill(argument: Any) -> Any:
            return values[argument.name] if isinstance(argument, _Value) else argument

        for step in self._steps:
            args, kwargs = fx.node.map_aggregate((step.args, step.kwargs), fill)
            values[step.name] = self._run(step, args, kwargs)
            del args, kwargs
            for name in step.done:
                del values[name]
        return values[self._result]

    def _run(self, step: _Step, args: Any, kwargs: Any) -> Any:
        if step.op == "call_function":
            return step.target(*args, **kwargs)
        if step.op == "call_method":
            return getattr(args[0], step.target)(*args[1:], **kwargs)
        own = operator.attrgetter(step.target)(self)
        return own(*args, **kwargs) if step.op == "call_module" else own


def _value(node: fx.Node) -> Any:
    return _Value(node.name)


def _share(model: nn.Module, part: nn.Module, name: str) -> None:
    """Give a part a module, parameter or buffer of the model, under its qualified name."""
    *path, last = name.split(".")
    owner = model
    for item in path:
        owner = getattr(owner, item)
        if getattr(part, item, None) is owner:
            return  # shared already, with all that is in it
        if not hasattr(part, item):
            part.add_module(item, nn.Module())
        part = getattr(part, item)
    shared = getattr(owner, last)
    if isinstance(shared, nn.Module | nn.Parameter):
        setattr(part, last, shared)
    else:
        part.register_buffer(last, shared, persistent=name in model.state_dict())


@torch.no_grad()
def _is_exact(model: Any, split: Split) -> bool:
    """Whether the parts have what they should have, and do as the model does."""
    frozen, trained = split
    assert frozen is not None
    if any(parameter.requires_grad for parameter in frozen.parameters()):
        return False
    if not all(parameter.requires_grad for parameter in trained.parameters()):
        return False
    keys = [*frozen.state_dict(), *trained.state_dict()]
    if sorted(keys) != sorted(model.state_dict()):
        return False
    images = _example(model)
    maps = frozen(images)
    if not isinstance(maps, torch.Tensor):
        return False
    before = maps.clone()  # kept maps must not be written to
    return torch.equal(trained(maps), model(images)) and torch.equal(maps, before)


def _example(model: Any) -> torch.Tensor:
    size = getattr(getattr(model, "patch_embed", None), "img_size", None)
    size = size or model.pretrained_cfg["input_size"][1:]
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    return images.to(next(model.parameters()))
