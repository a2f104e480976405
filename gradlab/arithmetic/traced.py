"""Reverse-mode differentiation of whole arrays: the tape of `gradlab.arithmetic.tape`, one block for an operation.

Every number that is computed is a *node* of one `Tape`, in the order of computation. A `Traced` array holds nothing but
the indices of its nodes, so slicing, transposing, stacking and assigning move indices, just as NumPy moves the pointers
of an object array: two names of one number are one node, and a copy is no operation. Arithmetic computes all entries at
once, in an `Arithmetic`, and appends one `Block`.

    k entries of an operation   C channels of a number: 4 floats for its value and error, or one ball
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np

Array = np.ndarray[Any, Any]

# A field, so that NumPy refuses to calculate with indices where an operation is not recorded.
NODE = np.dtype([("node", np.intp)])

# In an entry that was never assigned: beyond every tape, so that reading it raises IndexError.
UNASSIGNED = np.iinfo(np.intp).max

# The first two nodes of every tape: what np.zeros_like and np.ones_like fill with.
ZERO, ONE = 0, 1


class Operation(NamedTuple):
    """What an operation gave, (C, …), and its partial derivatives by its operands.

    A partial is None for exactly 1, the integer -1, or numbers (C, …) that broadcast against the result.
    """

    values: Array
    partials: tuple[Any, ...]


class Arithmetic(Protocol):
    """Numbers as arrays (C, …): what a tape computes in."""

    channels: int
    dtype: Any
    operations: dict[str, Callable[..., Operation]]

    def exact(self, numbers: Array) -> Array:
        """The numbers of an array of floats, (…) -> (C, …)."""

    def matrix_product(self, left: Array, right: Array) -> tuple[Array, Array, Array]:
        """(C, n, m) times (C, m, p) -> (C, n, p), and the factors as partial derivatives."""

    def total(self, terms: Array, axes: tuple[int, ...]) -> Array:
        """The sum over some of the axes of the entries; they stay, of length 1."""


class Block(NamedTuple):
    """One operation: its nodes are start … stop - 1, an array of `shape`.

    parents: (nodes, partial) of each operand, elementwise; both broadcast against the result, or, for a sum, the
    result against the nodes. Of a matrix product (n, m) by (m, p), the nodes and values of both factors.
    """

    start: int
    stop: int
    shape: tuple[int, ...]
    parents: tuple[tuple[Array, Any], ...]
    product: bool = False


class Tape:
    """The numbers of one run and how they came about; independent where no block made them."""

    def __init__(self, arithmetic: Any) -> None:
        self.arithmetic: Arithmetic = arithmetic
        self.blocks: list[Block] = []
        self.length = 0
        self._store = np.empty((arithmetic.channels, 4096), arithmetic.dtype)
        self._constants: dict[float, Array] = {}
        self.numbers(np.array([0.0, 1.0]))

    def numbers(self, array: Any) -> Traced:
        """Independent nodes with the values of an array of floats."""
        return self.traced(self._append(self.arithmetic.exact(np.asarray(array, np.float64))))

    def anew(self, array: Traced) -> Traced:
        """Independent nodes with the values that the nodes of `array` have."""
        return self.traced(self._append(self.values(array)))

    def values(self, array: Traced) -> Array:
        """The numbers of an array, (C, …)."""
        return self._store.take(nodes(array), axis=1)

    def elementwise(self, name: str, operands: Sequence[Any]) -> Traced:
        """One operation, broadcast over its operands: Traced arrays, numbers or arrays of floats."""
        indices = [self._nodes(operand) for operand in operands]
        if len(indices) > 1 and indices[0].ndim != indices[1].ndim:
            rank = max(index.ndim for index in indices)
            indices = [index.reshape((1,) * (rank - index.ndim) + index.shape) for index in indices]
        take = self._store.take
        result, partials = self.arithmetic.operations[name](*[take(index, axis=1) for index in indices])
        parents = zip(operands, indices, partials, strict=True)
        return self._record(result, tuple([(i, p) for operand, i, p in parents if isinstance(operand, Traced)]))

    def power(self, base: Traced, exponent: int) -> Traced:
        """An integer power, elementwise."""
        index = nodes(base)
        result, partials = self.arithmetic.operations["power"](self.values(base), exponent)
        return self._record(result, ((index, partials[0]),))

    def product(self, left: Any, right: Any) -> Any:
        """Matrix product; `left` (…, m) and `right` (m, p), or either of one axis, as in np.matmul."""
        a, b = self._nodes(left), self._nodes(right)
        if b.ndim > 2 or not a.ndim or not b.ndim:
            raise TypeError(f"a product of shapes {a.shape} and {b.shape} is not recorded: wanted (…, m) and (m, p)")
        shape = a.shape[:-1] + b.shape[1:]
        a, b = a.reshape(-1, a.shape[-1]), b.reshape(b.shape[0], -1)
        if a.shape[1] != b.shape[0]:
            raise ValueError(f"a product of shapes {np.shape(left)} and {np.shape(right)}: they do not conform")
        take = self._store.take
        result, *factors = self.arithmetic.matrix_product(take(a, axis=1), take(b, axis=1))
        made = self._record(result, ((a, factors[0]), (b, factors[1])), product=True)
        return made.reshape(shape)

    def sum(self, array: Traced, axis: int | tuple[int, ...] | None, keepdims: bool) -> Any:
        index = nodes(array)
        axes = range(index.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
        axes = tuple(range(index.ndim)[axis] for axis in axes)
        made = self._record(self.arithmetic.total(self.values(array), axes), ((index, None),))
        return made if keepdims else made.reshape([n for i, n in enumerate(index.shape) if i not in axes])

    def lifted(self, operand: Any) -> Traced:
        """A number or an array of floats as constants."""
        return operand if isinstance(operand, Traced) else self.traced(self._nodes(operand))

    def _nodes(self, operand: Any) -> Array:
        if isinstance(operand, Traced):
            return nodes(operand)
        if isinstance(operand, np.ndarray) and operand.ndim:
            if operand.dtype.kind not in "biuf":
                raise TypeError(f"an array of {operand.dtype} cannot be mixed with recorded numbers")
            return nodes(self.numbers(operand))
        number = float(operand)
        if number not in self._constants:
            self._constants[number] = nodes(self.numbers(number))
        return self._constants[number]

    def _append(self, values: Array) -> Array:
        shape = values.shape[1:]
        start, stop = self.length, self.length + math.prod(shape)
        if stop > self._store.shape[1]:
            grown = np.empty((len(values), 2 * stop), self._store.dtype)
            grown[:, :start] = self._store[:, :start]
            self._store = grown
        self._store[:, start:stop] = values.reshape(len(values), -1)
        self.length = stop
        return np.arange(start, stop).reshape(shape)

    def _record(self, values: Array, parents: tuple[tuple[Array, Any], ...], product: bool = False) -> Traced:
        index = self._append(values)
        self.blocks.append(Block(self.length - index.size, self.length, index.shape, parents, product))
        return self.traced(index)

    def traced(self, index: Array) -> Traced:
        """The array of these nodes."""
        array = index.view(NODE, Traced)
        array.tape = self
        return array


class Traced(np.ndarray):
    """An array of the nodes of a tape, for NumPy code that knows of no tape.

    Moving entries about is NumPy's own; `+ - * / **`, np.exp, np.tanh, np.reciprocal, sums and matrix products are
    recorded. Any other calculation raises TypeError; reading an entry that was never assigned raises IndexError.
    """

    tape: Tape

    def __array_finalize__(self, obj: Any) -> None:
        self.tape = getattr(obj, "tape", None)  # type: ignore[assignment]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        tape = next(one.tape for one in (*inputs, *(out or ())) if isinstance(one, Traced))
        name = ufunc.__name__
        if method != "__call__" or options:
            raise TypeError(f"np.{name} with {method if method != '__call__' else next(iter(options))} is not recorded")
        if name in ("power", "square") and (exponent := _integer(2 if name == "square" else inputs[1])) is not None:
            found = tape.power(inputs[0], exponent)
        elif name == "matmul":
            found = tape.product(*inputs)
        elif name in tape.arithmetic.operations and name != "power":
            found = tape.elementwise(name, inputs)
        else:
            raise TypeError(f"np.{name} is not recorded; there are {', '.join(sorted(tape.arithmetic.operations))}")
        if out is None:
            return found
        out[0][...] = found
        return out[0]

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> Any:
        if function is np.dot:
            return self.tape.product(*args)
        if function in _FILLED:
            made = super().__array_function__(np.empty_like, types, args, kwargs)
            if made.dtype != NODE:
                raise TypeError(f"np.{function.__name__}: recorded numbers cannot be stored as {made.dtype}")
            nodes(made).fill(_FILLED[function])
            return made
        if function not in _MOVING:
            raise TypeError(f"np.{function.__name__} is not recorded")
        found: Any = super().__array_function__(function, types, args, kwargs)
        if isinstance(found, np.ndarray) and found.dtype == NODE:  # np.concatenate leaves the subclass behind
            return self.tape.traced(nodes(found))
        return found

    def __setitem__(self, key: Any, value: Any) -> None:
        super().__setitem__(key, self.tape.lifted(value))

    def dot(self, other: Any, out: Any = None) -> Any:
        """The matrix product, as in np.dot for at most two axes on the right."""
        return self.tape.product(self, other)

    def sum(self, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False) -> Any:  # type: ignore[override]
        """The sum over some axes, as in np.sum."""
        if dtype is not None or out is not None:
            raise TypeError("a sum with a dtype or into an array is not recorded")
        return self.tape.sum(self, axis, keepdims)

    def __float__(self) -> float:
        raise TypeError("a recorded number is no float")

    __int__ = __complex__ = __float__  # type: ignore[assignment]


# What moves entries about or asks for a shape, and may be left to NumPy; np.sum calls Traced.sum.
_MOVING = {
    np.broadcast_to,
    np.concatenate,
    np.copy,
    np.expand_dims,
    np.moveaxis,
    np.ravel,
    np.repeat,
    np.reshape,
    np.result_type,
    np.shape,
    np.squeeze,
    np.stack,
    np.sum,
    np.swapaxes,
    np.transpose,
}
_FILLED: dict[Any, int] = {np.empty_like: UNASSIGNED, np.zeros_like: ZERO, np.ones_like: ONE}


def nodes(array: Array) -> Array:
    """The indices in an array, (…)."""
    return array.view(np.intp, np.ndarray)


def _integer(exponent: Any) -> int | None:
    number = exponent if isinstance(exponent, (int, float, np.integer)) else None
    return int(number) if number is not None and float(number).is_integer() else None
