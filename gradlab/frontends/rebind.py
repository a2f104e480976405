"""Functions, classes and objects made anew, with other functions in the place of some of NumPy's, math's and Python's.

The user's modules, classes and objects are left alone: whatever a function reaches (its globals, closure and defaults,
the functions, classes and objects in them, the modules that it calls into) is copied as far as it must be. What is
shared stays shared among the copies, so that what one function stores another finds: the two in one world.
"""

from __future__ import annotations

import builtins
import enum
import functools
import importlib
import itertools
import sys
import types
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from gradlab.frontends.copies import (
    attributes,
    empty_class,
    empty_object,
    is_copied,
    is_users,
    names,
    root_of,
    state_of,
    view_like,
)


class StandIns(Protocol):
    """What stands in for what.

    members: by the name of a module, its members' stand-ins by name. builtins: Python's, by name.
    """

    @property
    def members(self) -> Mapping[str, Mapping[str, Any]]: ...

    @property
    def builtins(self) -> Mapping[str, Any]: ...

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
        self._members = dict(stand_ins.members) | {"importlib": {"import_module": self._import_module}}
        self._by_id[id(importlib.import_module)] = self._import_module
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
            seen = is_users(value.__name__) or self._is_seen(value.__name__)
            return Module(self, value) if seen else value  # type: ignore[arg-type]
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, np.vectorize):
            return self(np.vectorize)(self(value.pyfunc), signature=value.signature, excluded=value.excluded)
        if isinstance(value, itertools.count):
            return type(value)(*value.__reduce__()[1])
        if isinstance(value, (tuple, frozenset)):
            return self._fixed(value)
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
        root = root_of(value)
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
        for name in names(code) - seen:
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
        empty: list[tuple[Any, Any]] = []
        made = self._empty_class(kind, empty)
        # What is kept in a class may be made of its subclasses: they all stand before any is filled.
        for original, copied in empty:
            for name, value in attributes(original).items():
                type.__setattr__(copied, name, self._attribute(name, value, copied))
        return made

    def _empty_class(self, kind: Any, empty: list[tuple[Any, Any]]) -> Any:
        if id(kind) in self._by_id or id(kind) in self._made:
            return self(kind)
        if not is_users(kind.__module__) or issubclass(kind, (BaseException, tuple, type, enum.Enum, np.ndarray)):
            return kind
        try:
            made = empty_class(kind, tuple(self._empty_class(base, empty) for base in kind.__bases__))
        except TypeError:  # its metaclass makes classes in a way of its own
            return kind
        empty.append((kind, self._remember(kind, made)))
        return made

    def _attribute(self, name: str, value: Any, owner: Any) -> Any:
        if isinstance(value, (staticmethod, classmethod)):
            return type(value)(self(value.__func__))
        if isinstance(value, property):
            return property(self(value.fget), self(value.fset), self(value.fdel), value.__doc__)
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
        if kind.__module__.startswith("numba.") and hasattr(value, "py_func"):
            return self(value.py_func)
        if (kind not in (list, dict, set, deque) and not is_copied(kind)) or isinstance(value, enum.Enum):
            return value
        try:
            made = self._remember(value, empty_object(value, self(kind)))
        except TypeError:  # its memory is not an object's
            return value
        self._fill(value, made)
        if getattr(value, "__dict__", None) is value:  # a dict whose items are its attributes
            object.__setattr__(made, "__dict__", made)
            return made
        for name, part in state_of(value).items():
            object.__setattr__(made, name, self(part))
        return made

    def _fill(self, value: Any, made: Any) -> None:
        """The parts of a container in its copy."""
        if isinstance(value, defaultdict):
            made.default_factory = self(value.default_factory)
        if isinstance(value, dict):
            for key, part in value.items():
                dict.__setitem__(made, self(key), self(part))
        elif isinstance(value, (list, deque)):
            (list if isinstance(value, list) else deque).extend(made, [self(part) for part in value])
        elif isinstance(value, set):
            set.update(made, [self(part) for part in value])

    def _fixed(self, value: Any) -> Any:
        """A tuple or frozenset; itself where nothing in it changes."""
        parts = [self(part) for part in value]
        if all(part is other for part, other in zip(parts, value, strict=True)):
            return value
        if hasattr(value, "_fields"):
            return type(value)(*parts)
        return tuple(parts) if type(value) is tuple else type(value)(parts)

    def _import(self, name: str, scope: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        return self(builtins.__import__(name, scope, local, fromlist, level))

    def _import_module(self, name: str, package: str | None = None) -> Any:
        return self(importlib.import_module(name, package))

    def _is_seen(self, name: str) -> bool:
        if name == "importlib":
            return True
        return bool(self.stand_ins.members) and name.partition(".")[0] in ("math", "numbers", "numpy", "scipy")

    def member(self, module: types.ModuleType, name: str) -> Any:
        """What an attribute of a module is here. Raises AttributeError where it has none."""
        value = getattr(module, name)
        if name in self._members.get(module.__name__, {}):
            return self._members[module.__name__][name]
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
        return inner["_rebind"]._scope(_namespace(inner["_module"]))[0]
    return vars(module)
