"""The arrays that functions keep between calls, by the names under which people know them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from gradlab.frontends.copies import is_users, state_of
from gradlab.gradients.called import plain

Array = np.ndarray[Any, Any]

DEPTH = 6  # objects within objects


def kept(functions: Mapping[str, Callable[..., Any]]) -> dict[str, dict[str, Array]]:
    """Copies of the arrays and numbers that each function reaches, by name: `c0`, `net.h`, `cache['h']`."""
    found = {}
    for name, function in functions.items():
        reached: dict[str, Array] = {}
        for path, value in _reached(function):
            reached.setdefault(path, np.array(value))
        found[name] = reached
    return found


def changes(before: dict[str, dict[str, Array]], after: dict[str, dict[str, Array]]) -> list[str]:
    """The names under which something was changed between two calls of `kept`."""
    changed = []
    for name, reached in after.items():
        for path, value in reached.items():
            old = before.get(name, {}).get(path)
            same = old is not None and old.shape == value.shape and np.array_equal(old, value, equal_nan=_real(value))
            if not same and path not in changed:
                changed.append(path)
    return changed


def readers(reached: dict[str, dict[str, Array]], path: str) -> list[str]:
    """The functions that reach a name."""
    return [name for name, paths in reached.items() if path in paths]


def _real(value: Array) -> bool:
    return value.dtype.kind in "fc"


def _reached(function: Any) -> Iterator[tuple[str, Any]]:
    seen: set[int] = set()
    if isinstance(function, types.MethodType):
        yield from _parts("self", function.__self__, seen, DEPTH)
    inner = plain(function)
    if not isinstance(inner, types.FunctionType):
        yield from _parts("self", function, seen, DEPTH)
        return
    yield from _of_function(inner, seen, DEPTH)


def _of_function(function: types.FunctionType, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    if id(function) in seen or not depth:
        return
    seen.add(id(function))
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield from _parts(name, cell.cell_contents, seen, depth)
        except ValueError:  # not yet assigned
            continue
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield from _parts(name, function.__globals__[name], seen, depth)
    for name, value in zip(function.__code__.co_varnames, function.__defaults__ or (), strict=False):
        yield from _parts(name, value, seen, depth)


def _parts(path: str, value: Any, seen: set[int], depth: int) -> Iterator[tuple[str, Any]]:
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "biufc":
            yield path, value
        return
    if isinstance(value, (bool, int, float, complex, np.number)):
        yield path, value
        return
    if id(value) in seen or not depth or isinstance(value, (str, bytes, type, types.ModuleType)):
        return
    if isinstance(value, types.FunctionType):
        if is_users(value.__module__ or "__main__"):
            yield from _of_function(value, seen, depth - 1)
        return
    seen.add(id(value))
    if isinstance(value, Mapping):
        for key, part in list(value.items()):
            yield from _parts(f"{path}[{key!r}]", part, seen, depth - 1)
    elif isinstance(value, (list, tuple)):
        for i, part in enumerate(value):
            yield from _parts(f"{path}[{i}]", part, seen, depth - 1)
    elif is_users(type(value).__module__):
        for name, part in state_of(value).items():
            yield from _parts(f"{path}.{name}", part, seen, depth - 1)
