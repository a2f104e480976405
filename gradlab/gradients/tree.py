"""Trees of arrays: what people keep parameters in: an array, a number, a tuple, list, dict or NamedTuple of trees."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradlab.gradients.called import GradientCheckError
from gradlab.tape.recorded import Recorded, holds_recorded, stacked

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Tree:
    """A tree taken apart: its leaves as float arrays by path (`params['W']`), and how to put it together again.

    leaves: read-only copies, in the order of the tree. numbers: the paths of leaves that were plain numbers.
    """

    name: str
    leaves: dict[str, Array]
    numbers: frozenset[str]
    tree: Any

    @property
    def size(self) -> int:
        return sum(leaf.size for leaf in self.leaves.values())

    def rebuilt(self, leaves: Mapping[str, Any] | None = None) -> Any:
        """The same tree of other leaves of the same shapes; by default of fresh copies of its own."""
        given = {path: leaf.copy() for path, leaf in self.leaves.items()} if leaves is None else leaves

        def put(path: str, leaf: Any) -> Any:
            if path not in given:  # a leaf of integers
                return leaf
            return given[path][()] if path in self.numbers else given[path]

        return mapped(put, self.tree, self.name)

    def astype(self, dtype: Any) -> Tree:
        """The same tree with float leaves of another dtype."""
        return Tree(
            self.name, {path: leaf.astype(dtype) for path, leaf in self.leaves.items()}, self.numbers, self.tree
        )


def tree(given: Any, name: str = "params") -> Tree:
    """Take a tree apart; leaves of integers are data, not parameters, and stay as they are.

    Raises:
        GradientCheckError: a leaf is no real array, holds no numbers or one that is not finite, or there is no float.
    """
    leaves: dict[str, Array] = {}
    numbers = set()
    for path, leaf in walked(given, name):
        array = np.array(leaf)
        if array.dtype.kind in "iub" and not (isinstance(leaf, int) and not isinstance(leaf, bool) and path == name):
            continue
        if array.dtype.kind not in "fi":
            raise GradientCheckError(f"{path} is {_kind(leaf)}, wanted an array of floats")
        array = array.astype(np.float64) if array.dtype not in (np.float32, np.float64) else array
        if not array.size:
            raise GradientCheckError(f"{path} has shape {array.shape}: there is nothing to differentiate by")
        if not np.isfinite(array).all():
            at = tuple(int(i) for i in np.argwhere(~np.isfinite(array))[0])
            raise GradientCheckError(f"{indexed(path, at)} = {array[at]}: every value must be finite")
        array.setflags(write=False)
        leaves[path] = array
        if not isinstance(leaf, np.ndarray):
            numbers.add(path)
    if not leaves:
        raise GradientCheckError(f"{name} has no array of floats: there is nothing to differentiate by")
    return Tree(name, leaves, frozenset(numbers), given)


def walked(given: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, leaf) of every leaf, in order; None is no leaf."""
    parts = _parts(given, path)
    if parts is None:
        if given is not None:
            yield path, given
        return
    for at, part in parts:
        yield from walked(part, at)


def mapped(function: Callable[[str, Any], Any], given: Any, path: str) -> Any:
    """The tree with each leaf replaced by function(path, leaf)."""
    parts = _parts(given, path)
    if parts is None:
        return given if given is None else function(path, given)
    made = [mapped(function, part, at) for at, part in parts]
    if isinstance(given, Mapping):
        return dict(zip(given, made, strict=True))
    return type(given)(*made) if hasattr(given, "_fields") else type(given)(made)


def matched(wanted: Tree, given: Any, subset: tuple[str, ...] | None, origin: str) -> dict[str, Any]:
    """The leaves of a gradient by the path of what each differentiates.

    Args:
        given: a tree of the same shape; where it is a dict or a NamedTuple of a dict's or NamedTuple's keys, or has
            None for a leaf, it may be without some.
        subset: the paths, keys or indices that are wanted, None for all that are given.
        origin: who returned it, for messages.

    Raises:
        GradientCheckError: a leaf is missing, is not of the shape of what it differentiates, or differentiates nothing.
    """
    found: dict[str, Any] = {}
    ours = list(wanted.leaves)
    if isinstance(given, (list, tuple)) and isinstance(wanted.tree, (list, tuple)):
        paths = selected(wanted, subset)
        fields = hasattr(given, "_fields") and hasattr(wanted.tree, "_fields")
        if not fields and len(given) != len(wanted.tree):
            if len(given) != len(paths) or len(ours) != len(wanted.tree):
                raise GradientCheckError(
                    f"{origin} returned {len(given)} arrays, {wanted.name} has {len(wanted.tree)}"
                    + (f", of which {len(paths)} are asked for" if subset is not None else "")
                )
            given = dict(zip(paths, given, strict=True))
            return {path: _leaf(wanted.leaves[path], value, path, origin) for path, value in given.items()}
    for path, leaf in _aligned(wanted, given):
        if path not in wanted.leaves:
            if any(path.startswith(known) or known.startswith(path) for known in ours):
                raise GradientCheckError(
                    f"{origin} returned {_kind(leaf)} for {path}, wanted the tree {_layout(wanted, path)}"
                )
            if path in dict(walked(wanted.tree, wanted.name)):
                continue  # the gradient by integers, whatever it is
            raise GradientCheckError(f"{origin} returned {path}, which is not in {wanted.name}: it has {_named(ours)}")
        found[path] = _leaf(wanted.leaves[path], leaf, path, origin)
    if subset is not None:
        missing = [path for path in selected(wanted, subset) if path not in found]
        if missing:
            raise GradientCheckError(f"{origin} returned nothing for {_named(missing)}")
        return {path: found[path] for path in selected(wanted, subset)}
    if given is None:
        raise GradientCheckError(f"{origin} returned nothing, wanted {_layout(wanted, wanted.name)}")
    if not found:
        raise GradientCheckError(f"{origin} returned {_kind(given)}, wanted {_layout(wanted, wanted.name)}")
    return {path: found[path] for path in ours if path in found}


def selected(wanted: Tree, subset: tuple[str, ...] | None) -> list[str]:
    """The paths that a subset names: each a path, the key of a dict, the field of a NamedTuple or an index.

    Raises:
        GradientCheckError: it names none.
    """
    if subset is None:
        return list(wanted.leaves)
    chosen = []
    for key in subset:
        starts = (str(key), f"{wanted.name}[{key!r}]", f"{wanted.name}.{key}")
        paths = [p for p in wanted.leaves if any(p == s or p.startswith((f"{s}[", f"{s}.")) for s in starts)]
        if not paths:
            raise GradientCheckError(f"subset: {key!r} is not in {wanted.name}: it has {_named(wanted.leaves)}")
        chosen += paths
    return [path for path in wanted.leaves if path in chosen]


def indexed(path: str, at: tuple[int, ...]) -> str:
    """params['W'][0, 1]."""
    return f"{path}[{', '.join(map(str, at))}]" if at else path


def _aligned(wanted: Tree, given: Any) -> Iterator[tuple[str, Any]]:
    """The leaves of a gradient; a dict may stand for a NamedTuple and the reverse, a list for a tuple."""

    def descend(theirs: Any, ours: Any, path: str) -> Iterator[tuple[str, Any]]:
        if theirs is None:
            return
        parts, known = _parts(theirs, path), _parts(ours, path)
        if known is None or parts is None:
            yield path, theirs
            return
        keys = dict(zip(_keys(ours), known, strict=True))
        for key, (at, part) in zip(_keys(theirs), parts, strict=True):
            if key in keys:
                yield from descend(part, keys[key][1], keys[key][0])
            elif part is not None:
                yield at, part

    return descend(given, wanted.tree, wanted.name)


def _keys(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return list(given)
    return list(getattr(given, "_fields", range(len(given))))


def _parts(given: Any, path: str) -> list[tuple[str, Any]] | None:
    """(path, part) of each part, or None for a leaf."""
    if isinstance(given, Mapping):
        return [(f"{path}[{key!r}]", part) for key, part in given.items()]
    if isinstance(given, tuple) and hasattr(given, "_fields"):
        return [(f"{path}.{field}".lstrip("."), part) for field, part in zip(given._fields, given, strict=True)]
    if isinstance(given, (list, tuple)):
        return [(f"{path}[{i}]", part) for i, part in enumerate(given)]
    return None


def _leaf(parameter: Array, leaf: Any, path: str, origin: str) -> Any:
    try:
        array = leaf if isinstance(leaf, Recorded) else _array(leaf)
    except ValueError:
        raise GradientCheckError(f"{origin} returned no array of one shape for {path}") from None
    if array.shape != parameter.shape:
        raise GradientCheckError(f"{origin} returned shape {array.shape} for {path}, wanted {parameter.shape}")
    if array.dtype.kind not in "fiubO":
        raise GradientCheckError(f"{origin} returned {_kind(leaf)} for {path}, wanted an array of floats")
    return array


def _array(leaf: Any) -> Any:
    if not holds_recorded(leaf):
        return np.asarray(leaf)
    first = leaf
    while not isinstance(first, Recorded):
        first = next(part for part in first if holds_recorded(part))
    return stacked(first.program, leaf)


def _layout(wanted: Tree, start: str) -> str:
    parts = [f"{path} {leaf.shape}" for path, leaf in wanted.leaves.items() if path.startswith(start)]
    return ", ".join(parts[:6]) + (" …" if len(parts) > 6 else "")


def _named(paths: Any) -> str:
    paths = list(paths)
    return ", ".join(paths[:8]) + (" …" if len(paths) > 8 else "")


def _kind(leaf: Any) -> str:
    if isinstance(leaf, np.ndarray):
        return f"an array of dtype {leaf.dtype}"
    return f"{'an' if type(leaf).__name__[0] in 'aeiou' else 'a'} {type(leaf).__name__}"
