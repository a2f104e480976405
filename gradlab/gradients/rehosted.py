"""A function made anew, in a copy of its globals where numpy, math and float are what a `World` says.

The user's module, classes and objects are left alone: whatever the function reaches (its globals, closure and defaults;
the functions, classes and objects in them; the user's modules that it calls into) is copied as far as it must be.
"""

from __future__ import annotations

import builtins
import functools
import math
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from gradlab.arithmetic.scalar import Scalar
from gradlab.gradients.worlds import SPECIAL, World

# Packages whose own functions are not rewritten: what they cannot do with balls is refused.
FOREIGN = frozenset(
    {"numpy", "scipy", "jax", "jaxlib", "torch", "tensorflow", "pandas", "numba", "flint", "hypothesis"}
)


class Rehost:
    """Copies of functions and objects for one world; shared state among them stays shared among the copies.

    Args:
        codes: what code the copies run in the place of other code.
    """

    def __init__(self, world: World, codes: Mapping[types.CodeType, types.CodeType] | None = None) -> None:
        self.world = world
        self.codes = codes or {}
        self.data: set[float] = set()  # the numbers in the arrays that it came upon
        self._made: dict[int, Any] = {}
        self._kept: list[Any] = []  # so that no id is used again
        self._scopes: dict[int, tuple[dict[str, Any], set[str]]] = {}
        self._stand_ins = {id(getattr(np, name, None)): own for name, own in world.functions.items()}
        self._stand_ins |= {id(np.linalg.norm): world.functions.get("norm", np.linalg.norm)}
        self._stand_ins |= {id(getattr(math, name)): own for name, own in world.math.items()}
        self._stand_ins[id(float)] = world.float
        self._stand_ins.pop(id(None), None)
        self._builtins = world.builtins | {"__import__": self._import}

    def __call__(self, value: Any) -> Any:
        """The same thing in this world."""
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, Scalar, np.generic)):
            return value
        if id(value) in self._stand_ins:
            return self._stand_ins[id(value)]
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
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, types.MethodType):
            return types.MethodType(self(value.__func__), self(value.__self__))
        if isinstance(value, functools.partial):
            arguments = {name: self(argument) for name, argument in value.keywords.items()}
            return functools.partial(self(value.func), *map(self, value.args), **arguments)
        if isinstance(value, types.ModuleType):
            return self._module(value)
        if isinstance(value, np.ndarray):
            return self._array(value)
        if isinstance(value, np.ufunc) or getattr(value, "__module__", "") in (
            "scipy.special",
            "scipy.special._ufuncs",
        ):
            return self._special(value)
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, (list, tuple, dict, set)):
            return self._container(value)
        return self._object(value)

    def _module(self, value: types.ModuleType) -> Any:
        return Module(self, value) if is_users(value.__name__) or value.__name__ in _SEEN else value

    def _special(self, value: Any) -> Any:
        name = getattr(value, "__name__", "")
        foreign = getattr(value, "__module__", None) or ("scipy.special" if not hasattr(np, name) else "numpy")
        return self.world.special.get(name, value) if name in SPECIAL and "scipy" in foreign else value

    def _array(self, value: Any) -> Any:
        if value.dtype.kind == "f":
            self.data.update(value.ravel().tolist())
        if self.world.buffers and self.world.holds(value.dtype):
            return self.world.buffer(value)
        return value.copy()

    def _function(self, function: Any) -> Any:
        wrapped = getattr(function, "__wrapped__", None)
        if not is_users(function.__module__ or "__main__"):
            return self._special(function)
        scope, seen = self._scope(function.__globals__)
        code = self.codes.get(function.__code__, function.__code__)
        made = types.FunctionType(code, scope, function.__name__, None, self._cells(function))
        self._remember(function, made)
        made.__defaults__ = self._tuple(function.__defaults__)
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
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            if id(cell) not in self._made:
                copied = self._remember(cell, types.CellType())
                try:
                    content = cell.cell_contents
                except ValueError:  # not yet assigned
                    continue
                # super() looks for the class in __class__ among the bases of the copied one.
                copied.cell_contents = content if name == "__class__" else self(content)
            made.append(self._made[id(cell)])
        return tuple(made) or None

    def _tuple(self, values: Any) -> Any:
        return None if values is None else tuple(map(self, values))

    def _class(self, kind: Any) -> Any:
        """A subclass whose methods, inherited ones too, are copies."""
        if (
            not is_users(kind.__module__)
            or issubclass(kind, (BaseException, tuple, type))
            or hasattr(kind, "__slots__")
        ):
            return kind
        made: Any = self._remember(kind, type(kind)(kind.__name__, (kind,), {"__module__": kind.__module__}))
        for base in reversed([base for base in kind.__mro__ if is_users(base.__module__)]):
            for name, value in vars(base).items():
                if isinstance(value, (staticmethod, classmethod)):
                    setattr(made, name, type(value)(self(value.__func__)))
                elif isinstance(value, property):
                    setattr(made, name, property(*(self(f) for f in (value.fget, value.fset, value.fdel))))
                elif isinstance(value, types.FunctionType) or (not name.startswith("__") and _holds_state(value)):
                    setattr(made, name, self(value))
        return made

    def _object(self, value: Any) -> Any:
        kind = type(value)
        if hasattr(value, "__wrapped__") and isinstance(value, functools._lru_cache_wrapper):
            return self(value.__wrapped__)
        if hasattr(value, "py_func"):  # compiled by numba
            return self(value.py_func)
        if not is_users(kind.__module__) or not hasattr(value, "__dict__"):
            return value
        made = object.__new__(self(kind)) if not hasattr(kind, "__slots__") else value
        self._remember(value, made)
        if made is not value:
            vars(made).update({name: self(part) for name, part in vars(value).items()})
        return made

    def _container(self, value: Any) -> Any:
        if isinstance(value, dict):
            if type(value) is not dict:
                return value
            made = self._remember(value, {})
            made.update({key: self(part) for key, part in value.items()})
            return made
        if isinstance(value, list):
            made = self._remember(value, [])
            made.extend(self(part) for part in value)
            return made
        parts = [self(part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)

    def _import(self, name: str, scope: Any = None, local: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        module = builtins.__import__(name, scope, local, fromlist, level)
        return self(module)

    def member(self, module: types.ModuleType, name: str) -> Any:
        """What an attribute of a module is here."""
        if module.__name__ in ("numpy", "numpy.linalg") and name in self.world.functions:
            return self.world.functions[name]
        if module.__name__ == "math" and name in self.world.math:
            return self.world.math[name]
        if module.__name__ == "scipy.special" and name in self.world.special:
            return self.world.special[name]
        if module.__name__ in _SEEN or not is_users(module.__name__):
            value = getattr(module, name)
            return self(value) if isinstance(value, types.ModuleType) else value
        scope, seen = self._scope(vars(module))
        if name not in seen or name not in scope:
            value = getattr(module, name)  # before the name counts as seen: the module may have none of that name
            seen.add(name)
            scope[name] = self(value)
        return scope[name]

    def assign(self, module: types.ModuleType, name: str, value: Any) -> None:
        """Set an attribute of the copy of a module."""
        scope, seen = self._scope(vars(module))
        seen.add(name)
        scope[name] = value


class Module:
    """A module as a function under test sees it."""

    def __init__(self, rehost: Rehost, module: types.ModuleType) -> None:
        object.__setattr__(self, "_rehost", rehost)
        object.__setattr__(self, "_module", module)

    def __getattr__(self, name: str) -> Any:
        return self._rehost.member(self._module, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._rehost.assign(self._module, name, value)


_SEEN = frozenset({"numpy", "numpy.linalg", "math", "scipy", "scipy.special"})


def _names(code: types.CodeType) -> set[str]:
    """Every global name that the code, and the code inside it, may ask for."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names(constant)
    return names


def _holds_state(value: Any) -> bool:
    return isinstance(value, (np.ndarray, list, dict, functools.partial))


@functools.cache
def is_users(module: str) -> bool:
    """Whether a module's functions may be run anew: not those of Python, of this package or of a foreign one."""
    top = module.partition(".")[0]
    if top in FOREIGN or (top in sys.stdlib_module_names and top != "__main__") or top == "builtins":
        return False
    if top != "gradlab":
        return True
    return module.startswith(("gradlab.manual", "gradlab.addition"))
