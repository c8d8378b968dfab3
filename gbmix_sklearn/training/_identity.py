"""Whether two values would train alike: their content, and the code of what is called.

Modules, callbacks, schedules and functions are code as well as numbers. A run that is loaded though
somebody has changed a function since would be another model's in silence.
"""

from __future__ import annotations

import copyreg
import enum
import functools
import hashlib
import io
import os
import sys
import types
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock, RLock
from typing import Any

import numpy as np
import sklearn
import torch
from torch import nn
from torch.nn.parameter import UninitializedTensorMixin  # type: ignore[attr-defined]

from .. import __version__

__all__ = ["describe", "describe_what_is_known", "fingerprint"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
#: rows of an array that are hashed at once, where it has to be copied for that
_CHUNK_BYTES = 2**24
#: attributes of classes that are no code, or differ where nothing else does
_OF_CLASSES = {
    *("__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__annotations__"),
    *("__firstlineno__", "__static_attributes__", "__annotate_func__", "__abstractmethods__"),
    *("__annotations_cache__", "_abc_impl", "__signature__", "__slotnames__"),
}
#: what says nothing about a training
_WITHOUT_CONTENT = (type(Lock()), type(RLock()), io.IOBase, weakref.ref)
#: attributes of modules that a training sets itself
_OF_MODULES = {"training"}


def fingerprint(*parts: Any) -> str:
    """Name a run: a hash of parameters and data, of code, and of the versions that run it.

    Raises
    ------
    TypeError
        If there is something of which nobody could say whether it is the same the next time.
    """
    versions = (
        *(__version__, torch.__version__, sklearn.__version__, np.__version__),
        sys.version_info[:2],
    )
    described = repr((versions, [describe(part) for part in parts]))
    return hashlib.sha256(described.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def describe(value: Any) -> Any:
    """Describe a value by plain ones: equal in every process, and for nothing else."""
    return _Description().of(value)


def describe_what_is_known(attributes: Mapping[str, Any]) -> Any:
    """Describe attributes, and only the kind of those of which no more can be told."""
    walk = _Description()
    return [(name, walk.of_known(each)) for name, each in sorted(attributes.items())]


class _Description:
    """A walk through a value; what is met again is named by its number."""

    def __init__(self) -> None:
        self._met: dict[int, int] = {}
        self._kept: list[Any] = []  # an id is given away again with its value's memory
        self._path: list[str] = []

    def of(self, value: Any) -> Any:
        if isinstance(value, enum.Enum):
            return "enum", type(value).__qualname__, value.name
        if type(value) in _PLAIN:
            return type(value).__name__, repr(value)
        if isinstance(value, np.generic) and not isinstance(value, np.object_):
            return "number", value.dtype.str, value.tobytes().hex()
        if isinstance(value, torch.dtype | torch.device | torch.layout | torch.memory_format):
            return "torch", str(value)
        if isinstance(value, os.PathLike):
            return "path", os.fspath(value)
        if id(value) in self._met:
            return "again", self._met[id(value)]
        self._met[id(value)] = len(self._met)
        self._kept.append(value)
        return self._of_new(value)

    def _of_new(self, value: Any) -> Any:
        for kinds, method in _KINDS:
            if isinstance(value, kinds):
                return method(self, value)
        return self._of_object(value)

    @contextmanager
    def _within(self, name: Any) -> Iterator[None]:
        self._path.append(str(name))
        yield
        self._path.pop()  # kept where something is raised, for the message

    # ------------------------------------------------------------------ data

    def _of_array(self, value: np.ndarray) -> Any:
        if value.dtype.hasobject:
            return "objects", value.shape, [self.of(each) for each in value.ravel().tolist()]
        digest = hashlib.blake2b(digest_size=16)
        rows = max(1, _CHUNK_BYTES // max(1, value[:1].nbytes if value.ndim else 1))
        for part in np.split(value, range(rows, len(value), rows)) if value.ndim else [value]:
            digest.update(np.ascontiguousarray(part).tobytes())
        return "array", value.dtype.str, value.shape, digest.hexdigest()

    def _of_tensor(self, value: torch.Tensor) -> Any:
        if isinstance(value, UninitializedTensorMixin):
            return "uninitialised", str(value.dtype), value.requires_grad
        facts = "tensor", str(value.dtype), tuple(value.shape), value.requires_grad
        values = value.detach().cpu()
        if values.is_quantized:
            return *facts, str(values.qscheme()), self.of(values.int_repr()), repr(values[:0])
        if values.layout == torch.sparse_coo:
            values = values.coalesce()
            return *facts, self.of(values.indices()), self.of(values.values())
        if values.layout != torch.strided:
            values = values.to_dense()
        if values.is_meta:
            return facts
        values = values.resolve_conj().resolve_neg().contiguous().reshape(-1)
        return *facts, self._of_array(values.view(torch.uint8).numpy())

    def _of_mapping(self, value: Mapping) -> Any:
        parts = []
        for key, each in value.items():
            with self._within(key):
                parts.append((self.of(key), self.of(each)))
        return "mapping", self._name(type(value)), parts

    def _of_sequence(self, value: list | tuple) -> Any:
        return self._name(type(value)), [self.of(each) for each in value]

    def _of_set(self, value: set | frozenset) -> Any:
        return "set", sorted(repr(self.of(each)) for each in value)

    # ------------------------------------------------------------------ code

    def _of_function(self, function: types.FunctionType) -> Any:
        library = _library_of(function.__module__)
        if library is not None and "<locals>" not in function.__qualname__:
            return "function", *library, function.__qualname__
        with self._within(function.__qualname__):
            cells = [_content_of(cell) for cell in function.__closure__ or ()]
            return (
                *("function", self._of_code(function.__code__), self.of(function.__defaults__)),
                *(self.of(function.__kwdefaults__), [self.of(each) for each in cells]),
                self.of(vars(function)),
                () if library is not None else self._of_globals(function),
            )

    def _of_code(self, code: types.CodeType) -> Any:
        constants = [
            self._of_code(each) if isinstance(each, types.CodeType) else self.of(each)
            for each in code.co_consts
        ]
        return (
            *("code", code.co_code.hex(), constants, code.co_names, code.co_varnames),
            *(code.co_freevars, code.co_cellvars, code.co_flags),
        )

    def _of_globals(self, function: types.FunctionType) -> Any:
        """What a function finds by name: constants, and other functions, of its module."""
        known = function.__globals__
        named = sorted(name for name in _names(function.__code__) if name in known)
        return [(name, self.of_known(known[name])) for name in named]

    def of_known(self, value: Any) -> Any:
        """What is there for code to use: of a logger or a lock only the kind."""
        depth = len(self._path)
        try:
            return self.of(value)
        except TypeError:
            del self._path[depth:]
            return "kind", self._name(type(value))

    def _of_class(self, value: type) -> Any:
        library = _library_of(value.__module__)
        if library is not None and "<locals>" not in value.__qualname__:
            return "class", *library, value.__qualname__
        with self._within(value.__qualname__):
            own = sorted(name for name in vars(value) if name not in _OF_CLASSES)
            return (
                *("class", value.__qualname__, [self.of(base) for base in value.__bases__]),
                [(name, self._of_member(vars(value)[name])) for name in own],
            )

    def _of_member(self, value: Any) -> Any:
        if isinstance(value, types.MemberDescriptorType | types.GetSetDescriptorType):
            return "slot"
        return self.of_known(value)

    def _of_wrapped(self, value: Any) -> Any:
        return type(value).__name__, self.of(value.__func__)

    def _of_method(self, value: types.MethodType) -> Any:
        return "method", self.of(value.__func__), self.of(value.__self__)

    def _of_property(self, value: property) -> Any:
        return "property", [self.of(each) for each in (value.fget, value.fset, value.fdel)]

    def _of_partial(self, value: functools.partial) -> Any:
        return "partial", self.of(value.func), self.of(value.args), self.of(value.keywords)

    def _of_builtin(self, value: Any) -> Any:
        name = getattr(value, "__qualname__", getattr(value, "__name__", ""))
        owner = getattr(value, "__self__", None)
        if owner is not None and not isinstance(owner, types.ModuleType):
            return "builtin", name, self.of(owner)
        return "builtin", getattr(value, "__module__", None), name

    def _of_python_module(self, value: types.ModuleType) -> Any:
        return "module", value.__name__, str(getattr(value, "__version__", ""))

    # ------------------------------------------------------------------ objects

    def _of_network(self, value: nn.Module) -> Any:
        if isinstance(value, torch.jit.ScriptModule):
            return self._of_scripted(value)
        known = {name: each for name, each in vars(value).items() if name not in _OF_MODULES}
        if isinstance(value, torch.fx.GraphModule):
            known = {n: each for n, each in known.items() if n not in ("_graph", "_code", "meta")}
            known["code"] = value.code
            return "graph", self._of_attributes(known)
        return "network", self.of(type(value)), self._of_attributes(known)

    def _of_scripted(self, value: Any) -> Any:
        parts = [(name, _code_and_attributes(part)) for name, part in value.named_modules()]
        tensors = [*value.named_parameters(), *value.named_buffers()]
        return "script", parts, [(name, self.of(each)) for name, each in tensors]

    def _of_attributes(self, known: Mapping[str, Any]) -> Any:
        described = []
        for name, each in sorted(known.items()):
            if name.endswith("_hooks") and isinstance(each, Mapping):
                each = list(each.values())  # whose keys count all hooks of the process
            if name.startswith("_forward_hooks_"):  # flags of hooks, by the same keys
                each = len(each)
            if name == "_non_persistent_buffers_set":
                continue
            with self._within(name):
                described.append((name, self.of(each)))
        return described

    def _of_object(self, value: Any) -> Any:
        """Anything else: its class, and what it would be copied by."""
        cls = type(value)
        if isinstance(value, functools._lru_cache_wrapper):
            return "cached", self.of(value.__wrapped__)
        if isinstance(value, _WITHOUT_CONTENT):
            return "kind", self._name(cls)
        if isinstance(value, torch.ScriptObject):
            return "script object", self.of(value.__getstate__())
        if _is_copied_by_attributes(cls):
            slots = [name for base in cls.__mro__ for name in _slots(base) if hasattr(value, name)]
            known = vars(value) if hasattr(value, "__dict__") else {}
            known = known | {name: getattr(value, name) for name in slots}
            return "object", self.of(cls), self._of_attributes(known)
        try:
            reduce = copyreg.dispatch_table.get(cls)
            reduced = value.__reduce_ex__(4) if reduce is None else reduce(value)
        except Exception as error:
            raise self._unknown(value) from error
        if isinstance(reduced, str):
            return "named", self._name(cls), reduced
        function, arguments, state, *contents = [*reduced, None][: max(3, len(reduced))]
        return (
            *("object", self.of(function), self.of(arguments)),
            self._of_attributes(state) if _has_names(state) else self.of(state),
            [self.of(None if each is None else list(each)) for each in contents[:2]],
        )

    def _unknown(self, value: Any) -> TypeError:
        place = ".".join(self._path) or "parameters"
        return TypeError(
            f"nobody can tell whether a later fit has the same {place}, since it holds a "
            f"{type(value).__module__}.{type(value).__qualname__}"
        )

    def _name(self, cls: type) -> str:
        return f"{cls.__module__}.{cls.__qualname__}"


_KINDS: tuple[tuple[Any, Callable[[_Description, Any], Any]], ...] = (
    (type, _Description._of_class),
    (np.ndarray, _Description._of_array),
    (torch.Tensor, _Description._of_tensor),
    (nn.Module, _Description._of_network),
    (Mapping, _Description._of_mapping),
    (list | tuple, _Description._of_sequence),
    (set | frozenset, _Description._of_set),
    (types.FunctionType, _Description._of_function),
    (types.MethodType, _Description._of_method),
    (functools.partial, _Description._of_partial),
    (staticmethod | classmethod, _Description._of_wrapped),
    (property, _Description._of_property),
    (types.ModuleType, _Description._of_python_module),
    (
        types.BuiltinFunctionType
        | types.MethodDescriptorType
        | types.WrapperDescriptorType
        | types.MethodWrapperType
        | types.ClassMethodDescriptorType
        | np.ufunc,
        _Description._of_builtin,
    ),
)


@functools.lru_cache(maxsize=4096)
def _library_of(module: str | None) -> tuple[str, str] | None:
    """Name and version of what is installed, whose code the version stands for; None for the rest.

    The name is that of the module, since packages are reached in many ways.
    """
    if not module or module == "__main__":
        return None
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return module, ""
    package = sys.modules.get(top)
    file = getattr(package, "__file__", None)
    if top == __package__.partition(".")[0]:
        return module, __version__
    version = getattr(package, "__version__", None)
    installed = file is not None and {"site-packages", "dist-packages"} & set(Path(file).parts)
    return (module, str(version)) if installed and version is not None else None


def _content_of(cell: Any) -> Any:
    with suppress(ValueError):  # of a name that has no value yet
        return cell.cell_contents
    return None


def _names(code: types.CodeType) -> set[str]:
    inner = [each for each in code.co_consts if isinstance(each, types.CodeType)]
    return set(code.co_names).union(*map(_names, inner))


def _is_copied_by_attributes(cls: type) -> bool:
    plain = all(
        getattr(cls, name) is getattr(object, name)
        for name in ("__reduce_ex__", "__reduce__", "__getstate__")
    )
    # what is written in C hides its state
    return plain and bool(getattr(cls, "__dictoffset__", 0) or any(map(_slots, cls.__mro__)))


def _has_names(state: Any) -> bool:
    return type(state) is dict and all(isinstance(name, str) for name in state)


def _slots(cls: type) -> tuple[str, ...]:
    slots = vars(cls).get("__slots__", ())
    names = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in names if name not in ("__dict__", "__weakref__"))


def _code_and_attributes(part: Any) -> Any:
    """What a scripted module does, and what it keeps besides weights and modules."""
    inner = getattr(part, "_c", None)
    if inner is None:
        return type(part).__qualname__
    methods = [(name, inner._get_method(name).code) for name in sorted(inner._method_names())]
    lines = inner.dump_to_str(code=False, attrs=True, params=False).splitlines()
    # addresses of modules, and a mode that a training sets itself
    attributes = [
        line for line in lines if " object at 0x" not in line and "training =" not in line
    ]
    return methods, attributes
