"""Functions, classes and objects made anew, with other functions in the place of some of NumPy's, math's and Python's.

The user's modules, classes and objects are left alone: whatever a function reaches (its globals, closure and defaults,
the functions, classes and objects in them, the modules that it calls into) is copied as far as it must be. What is
shared stays shared among the copies, so that what one function stores another finds: the two in one world.
"""

from __future__ import annotations

import builtins
import collections
import enum
import functools
import sys
import types
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

# Packages whose own functions are not made anew: what they calculate with numbers of another kind is refused.
FOREIGN = frozenset(
    {"numpy", "scipy", "jax", "jaxlib", "torch", "tensorflow", "pandas", "numba", "flint", "hypothesis", "matplotlib"}
    | {"rich", "pytest", "_pytest", "IPython", "tqdm"}
)

# What a class has of itself, and its copy gets anew.
_OF_A_CLASS = frozenset({"__dict__", "__weakref__", "__module__", "__qualname__", "__slots__", "__doc__", "_abc_impl"})


class StandIns(Protocol):
    """What stands in for what.

    members: by the name of a module, its members' stand-ins by name. builtins: Python's, by name.
    """

    members: Mapping[str, Mapping[str, Any]]
    builtins: Mapping[str, Any]

    def array(self, given: np.ndarray[Any, Any]) -> Any:
        """An array that the code holds; one that owns its memory."""

    def object(self, given: Any) -> Any:
        """Any other value, or `NotImplemented` for what needs no stand-in."""

    def module(self, name: str, member: Any) -> Any:
        """A member of numpy that has no stand-in of its own."""


class Rebind:
    """Copies of functions and objects in one world.

    Args:
        stand_ins: what stands in for what. codes: what code the copies run in the place of other code.
    """

    def __init__(self, stand_ins: StandIns, codes: Mapping[types.CodeType, types.CodeType] | None = None) -> None:
        self.stand_ins = stand_ins
        self.codes = codes or {}
        self._made: dict[int, Any] = {}
        self._kept: list[Any] = []  # so that no id is used again
        self._scopes: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self._by_id: dict[int, Any] = {}
        for name, members in stand_ins.members.items():
            module = sys.modules.get(name)
            for member, own in members.items():
                if hasattr(module, member):
                    self._by_id[id(getattr(module, member))] = own
        for name, own in stand_ins.builtins.items():
            self._by_id[id(getattr(builtins, name))] = own
        self._builtins = vars(builtins) | dict(stand_ins.builtins) | {"__import__": self._import}

    def __call__(self, value: Any) -> Any:
        """The same thing in this world."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.generic)):
            return value
        if id(value) in self._by_id:
            return self._by_id[id(value)]
        if id(value) in self._made:
            return self._made[id(value)]
        made = self._copied(value)
        if made is not value:
            self._remember(value, made)
        return made

    @property
    def made(self) -> list[Any]:
        """All copies so far."""
        return list(self._made.values())

    def _remember(self, value: Any, made: Any) -> Any:
        self._made[id(value)] = made
        self._kept.append(value)
        return made

    def _copied(self, value: Any) -> Any:
        own = self.stand_ins.object(value)
        if own is not NotImplemented:
            return own
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(self(value.__func__), self(value.__self__))
        if isinstance(value, functools.partial):
            arguments = {name: self(argument) for name, argument in value.keywords.items()}
            return functools.partial(self(value.func), *map(self, value.args), **arguments)
        if isinstance(value, functools._lru_cache_wrapper):
            return functools.lru_cache(**value.cache_parameters())(self(value.__wrapped__))
        if isinstance(value, types.BuiltinMethodType):
            return self._builtin(value)
        if isinstance(value, (types.ModuleType, Module)):
            return Module(self, value) if is_users(value.__name__) or self._is_seen(value.__name__) else value
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, type):
            return self._class(value)
        if type(value) in (list, tuple, dict, set, frozenset, collections.deque) or isinstance(value, (tuple, dict)):
            return self._container(value)
        return self._object(value)

    def _builtin(self, value: Any) -> Any:
        """A method of a list, a dict or an array, taken from it."""
        owner = value.__self__
        if isinstance(owner, types.ModuleType) or owner is None or isinstance(owner, type):
            return value
        made = self(owner)
        return value if made is owner else getattr(made, value.__name__)

    def _array(self, value: Any) -> Any:
        if value.dtype == object:
            made = self._remember(value, np.empty(value.shape, object))
            for at in np.ndindex(value.shape):
                made[at] = self(value[at])
            return made
        root = value
        while isinstance(root.base, np.ndarray):
            root = root.base
        if root is value or root.dtype != value.dtype or not (root.flags.c_contiguous or root.flags.f_contiguous):
            return self.stand_ins.array(value)
        return view_like(value, root, self(root))

    def _function(self, function: Any) -> Any:
        if not is_users(function.__module__ or "__main__"):
            return function
        wrapped = getattr(function, "__wrapped__", None)
        scope, seen = self._scope(function.__globals__)
        code = self.codes.get(function.__code__, function.__code__)
        made = types.FunctionType(code, scope, function.__name__, None, self._cells(function))
        self._remember(function, made)
        made.__defaults__ = None if function.__defaults__ is None else tuple(map(self, function.__defaults__))
        made.__kwdefaults__ = {k: self(v) for k, v in (function.__kwdefaults__ or {}).items()} or None
        made.__dict__.update({k: self(v) for k, v in vars(function).items() if k != "__wrapped__"})
        made.__module__, made.__qualname__ = function.__module__, function.__qualname__
        if wrapped is not None:
            made.__wrapped__ = self(wrapped)  # type: ignore[attr-defined]
        for name in _names(code) - seen:
            seen.add(name)
            if name in function.__globals__:
                scope[name] = self(function.__globals__[name])
        return made

    def _scope(self, namespace: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
        if id(namespace) not in self._scopes:
            self._kept.append(namespace)
            self._scopes[id(namespace)] = (dict(namespace) | {"__builtins__": self._builtins}, set())
        return self._scopes[id(namespace)]

    def _cells(self, function: Any) -> Any:
        made = []
        for cell in function.__closure__ or ():
            if id(cell) not in self._made:
                copied = self._remember(cell, types.CellType())
                try:
                    content = cell.cell_contents
                except ValueError:  # not yet assigned
                    continue
                finally:
                    made.append(copied)
                copied.cell_contents = self(content)
            else:
                made.append(self._made[id(cell)])
        return tuple(made) or None

    def _class(self, kind: Any) -> Any:
        """The same class over copies of its bases, with copies of its methods."""
        if not is_users(kind.__module__) or issubclass(kind, (BaseException, tuple, type, enum.Enum, np.ndarray)):
            return kind
        own = vars(kind)
        namespace = {name: own[name] for name in ("__module__", "__qualname__", "__slots__", "__doc__") if name in own}
        made: Any = type(kind)(kind.__name__, tuple(map(self, kind.__bases__)), namespace)
        self._remember(kind, made)
        for name, value in own.items():
            if name not in _OF_A_CLASS and not isinstance(value, types.MemberDescriptorType):
                setattr(made, name, self._attribute(name, value, made))
        return made

    def _attribute(self, name: str, value: Any, owner: Any) -> Any:
        if isinstance(value, (staticmethod, classmethod)):
            return type(value)(self(value.__func__))
        if isinstance(value, property):
            return property(*(self(f) for f in (value.fget, value.fset, value.fdel)), value.__doc__)
        if isinstance(value, functools.cached_property):
            made: Any = functools.cached_property(self(value.func))
            made.__set_name__(owner, name)
            return made
        if isinstance(value, functools.partialmethod):
            arguments = {key: self(argument) for key, argument in value.keywords.items()}
            return functools.partialmethod(self(value.func), *map(self, value.args), **arguments)
        if name.startswith("__") and not isinstance(value, types.FunctionType):
            return value
        return self(value)

    def _object(self, value: Any) -> Any:
        kind = type(value)
        if kind is types.SimpleNamespace:
            made = self._remember(value, types.SimpleNamespace())
            vars(made).update({n: part if n.startswith("__") else self(part) for n, part in vars(value).items()})
            return made
        if hasattr(value, "py_func"):  # compiled by numba
            return self(value.py_func)
        if not is_users(kind.__module__) or isinstance(value, enum.Enum):
            return value
        try:
            made = object.__new__(self(kind))
        except TypeError:  # its memory is not an object's
            return value
        self._remember(value, made)
        for name, part in state_of(value).items():
            object.__setattr__(made, name, self(part))
        return made

    def _container(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(value, dict):
            if kind is dict or kind.__module__ == "collections":
                made = self._remember(value, kind() if kind is dict else _emptied(value, self))
            elif is_users(kind.__module__):
                made = self._remember(value, dict.__new__(self(kind)))
                vars(made).update({name: self(part) for name, part in state_of(value).items()})
            else:
                return value
            for key, part in value.items():
                dict.__setitem__(made, key, self(part))
            return made
        if isinstance(value, list):
            made = self._remember(value, [])
            made.extend(self(part) for part in value)
            return made
        if isinstance(value, collections.deque):
            return collections.deque((self(part) for part in value), value.maxlen)
        parts = [self(part) for part in value]
        if hasattr(value, "_fields"):
            return kind(*parts)
        return kind(parts) if kind in (tuple, set, frozenset) else value

    def _import(self, name: str, scope: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        return self(builtins.__import__(name, scope, local, fromlist, level))

    def _is_seen(self, name: str) -> bool:
        return bool(self.stand_ins.members) and name.partition(".")[0] in ("math", "numpy", "scipy")

    def member(self, module: types.ModuleType, name: str) -> Any:
        """What an attribute of a module is here. Raises AttributeError where it has none."""
        value = getattr(module, name)
        if name in self.stand_ins.members.get(module.__name__, {}):
            return self.stand_ins.members[module.__name__][name]
        if not is_users(module.__name__):
            if isinstance(value, (types.ModuleType, Module)) or id(value) in self._by_id:
                return self(value)
            return self.stand_ins.module(module.__name__, value)
        scope, seen = self._scope(_namespace(module))
        if name not in seen or name not in scope:
            seen.add(name)
            scope[name] = self(value)
        return scope[name]

    def assign(self, module: types.ModuleType, name: str, value: Any) -> None:
        """Set an attribute of the copy of a module."""
        scope, seen = self._scope(_namespace(module))
        seen.add(name)
        scope[name] = value


class Module:
    """A module as a function under test sees it."""

    def __init__(self, rebind: Rebind, module: types.ModuleType) -> None:
        object.__setattr__(self, "_rebind", rebind)
        object.__setattr__(self, "_module", module)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":
            raise AttributeError(name)
        return self._rebind.member(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._rebind.assign(self._module, name, value)

    def __dir__(self) -> list[str]:
        return dir(self._module)


def _namespace(module: Any) -> dict[str, Any]:
    """The names of a module, or of the copy that stands for one."""
    if isinstance(module, Module):
        inner = vars(module)
        return inner["_rebind"]._scope(_namespace(inner["_module"]))[0]  # type: ignore[no-any-return]
    return vars(module)


def view_like(view: np.ndarray[Any, Any], root: np.ndarray[Any, Any], made: Any) -> Any:
    """The part of a copy of an array that a view is of the array: it shares the copy's memory."""
    from gradlab.tape.recorded import Recorded, nodes, recorded

    buffer = nodes(made) if isinstance(made, Recorded) else made
    scale = buffer.itemsize // root.itemsize if buffer.itemsize >= root.itemsize else 0
    if not scale or buffer.shape != root.shape:
        return made
    offset = view.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    flat = buffer if buffer.flags.c_contiguous else buffer.T
    strides = tuple(step * scale for step in view.strides)
    part: Any = np.ndarray(view.shape, buffer.dtype, flat, offset * scale, strides)
    return recorded(made.program, part, made.format) if isinstance(made, Recorded) else part


def state_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, those in slots too."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            mangled = f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            if name not in ("__dict__", "__weakref__") and hasattr(value, mangled):
                found[mangled] = getattr(value, mangled)
    return found


def _emptied(value: Any, rebind: Rebind) -> Any:
    """An empty dict of the same kind of collections."""
    if isinstance(value, collections.defaultdict):
        return collections.defaultdict(rebind(value.default_factory))
    return type(value)()


def _names(code: types.CodeType) -> set[str]:
    """Every global name that the code, and the code inside it, may ask for."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


@functools.cache
def is_users(module: str) -> bool:
    """Whether a module's functions may be made anew: not those of Python, of this package or of a foreign one."""
    top = module.partition(".")[0]
    if top in FOREIGN or (top in sys.stdlib_module_names and top != "__main__") or top == "builtins":
        return False
    if top != "gradlab":
        return True
    return module.startswith(("gradlab.manual", "gradlab.addition"))
