"""One differentiation problem: the arrays a network is run on, validated before anything is computed.

Shapes are declared once, where the arrays are named, as the annotations of a NamedTuple:

    class Params(NamedTuple):
        W_input: Annotated[Array, "I H"]

    T steps   B batch   I inputs   H hidden units   O outputs   (any other letter is an axis of its own)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np

Array = np.ndarray[Any, Any]
FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


class ProblemError(ValueError):
    """An array that no network can be run on: the message names it, what it is and what it should be."""


def axes(record: Any) -> dict[str, tuple[str, ...]]:
    """The axis letters of each field of a NamedTuple annotated with shapes: {"W_input": ("I", "H")}."""
    return dict(_axes(record))


@cache
def _axes(record: Any) -> dict[str, tuple[str, ...]]:
    hints = get_type_hints(record, include_extras=True)
    return {
        name: tuple(get_args(hint)[1].split())
        for name, hint in hints.items()
        if hasattr(hint, "__metadata__") and get_origin(hint) is not None
    }


@dataclass(frozen=True, eq=False)
class Problem:
    """Weights, a sequence, its targets and the state before step 0.

    Args:
        params: a NamedTuple of weights, its fields annotated with their axes (`gradlab.manual.rnn.Params`).
        x: inputs, (T, B, I).
        y: targets, (T, B, O), each in [0, 1].
        state: a NamedTuple of the states before step 0, annotated like params (`gradlab.manual.rnn.State`).

    All arrays have one dtype, float32 or float64; they are kept as read-only copies.

    Raises:
        ProblemError: an array has the wrong rank or size, no entries, a dtype that is not float32 or float64, a value
            that is not finite, or a target outside [0, 1].
    """

    params: Any
    x: Array
    y: Array
    state: Any

    def __post_init__(self) -> None:
        sizes: dict[str, int] = {}
        wanted = {"x": ("T", "B", "I")} | axes(type(self.params)) | axes(type(self.state)) | {"y": ("T", "B", "O")}
        given = self.arrays()
        kept: dict[str, Array] = {}
        for name, letters in wanted.items():
            kept[name] = _validated(name, given[name], letters, sizes)
            if kept[name].dtype != kept["x"].dtype:
                raise ProblemError(
                    f"{name} has dtype {kept[name].dtype}, x has {kept['x'].dtype}: all arrays must have one dtype"
                )
        outside = (kept["y"] < 0) | (kept["y"] > 1)
        if outside.any():
            at = _index(np.argwhere(outside)[0])
            raise ProblemError(f"y{at} = {kept['y'][tuple(np.argwhere(outside)[0])]!s}: a target must lie in [0, 1]")
        rebuilt = self._rebuilt(kept)
        for name in ("params", "x", "y", "state"):
            object.__setattr__(self, name, rebuilt[name])

    def arrays(self) -> dict[str, Any]:
        """Every array by its name: x, the params, the states, y."""
        return {"x": self.x} | self.params._asdict() | self.state._asdict() | {"y": self.y}

    @cached_property
    def sizes(self) -> dict[str, int]:
        """The length of each axis by its letter: {"T": 8, "B": 1, "I": 2, "H": 16, "O": 1}."""
        named = {"x": ("T", "B", "I")} | axes(type(self.params)) | axes(type(self.state)) | {"y": ("T", "B", "O")}
        arrays = self.arrays()
        return {
            letter: n for name, letters in named.items() for letter, n in zip(letters, arrays[name].shape, strict=True)
        }

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.x.dtype

    def astype(self, dtype: Any) -> Problem:
        """The same problem in another float dtype; float32 -> float64 is exact."""
        return replace(self, **self._rebuilt({name: array.astype(dtype) for name, array in self.arrays().items()}))

    def inputs(self, convert: Any = np.array) -> Inputs:
        """Fresh arrays for one run, each passed through `convert` (to balls, say), so that no run can spoil another."""
        return Inputs(**self._rebuilt({name: convert(array) for name, array in self.arrays().items()}))

    def _rebuilt(self, arrays: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "params": type(self.params)(**{name: arrays[name] for name in self.params._fields}),
            "x": arrays["x"],
            "y": arrays["y"],
            "state": type(self.state)(**{name: arrays[name] for name in self.state._fields}),
        }


class Inputs(NamedTuple):
    """What a network is run on, in any arithmetic: the arrays of a `Problem`, unvalidated."""

    params: Any
    x: Any
    y: Any
    state: Any

    def named(self) -> Iterator[tuple[str, Any]]:
        """(name, array) of every array that a loss can be differentiated by: x, the params, the states."""
        yield "x", self.x
        yield from self.params._asdict().items()
        yield from self.state._asdict().items()

    def with_array(self, name: str, array: Any) -> Inputs:
        """These inputs with one named array replaced."""
        if name == "x":
            return self._replace(x=array)
        part = "params" if name in self.params._fields else "state"
        return self._replace(**{part: getattr(self, part)._replace(**{name: array})})


def _validated(name: str, given: Any, letters: tuple[str, ...], sizes: dict[str, int]) -> Array:
    """A read-only copy of one array; binds each axis letter to the size that it first has."""
    try:
        array = np.array(given)
    except ValueError as error:
        raise ProblemError(f"{name} is not an array: {error}") from None
    wanted = f"({', '.join(letters)})"
    if array.dtype not in FLOATS:
        raise ProblemError(f"{name} has dtype {array.dtype}, wanted float32 or float64")
    if array.ndim != len(letters):
        raise ProblemError(f"{name} has shape {array.shape}, wanted {wanted}: {len(letters)} axes, not {array.ndim}")
    for letter, size in zip(letters, array.shape, strict=True):
        if size == 0:
            raise ProblemError(f"{name} has shape {array.shape}, wanted {wanted} with {letter} at least 1")
        sizes.setdefault(letter, size)
    expected = tuple(sizes[letter] for letter in letters)
    if array.shape != expected:
        raise ProblemError(f"{name} has shape {array.shape}, wanted {wanted} = {expected}")
    if not np.isfinite(array).all():
        at = tuple(np.argwhere(~np.isfinite(array))[0])
        raise ProblemError(f"{name}{_index(at)} = {array[at]}: every value must be finite")
    array.setflags(write=False)
    return array


def _index(at: Any) -> str:
    return "[" + ", ".join(str(int(i)) for i in at) + "]"
