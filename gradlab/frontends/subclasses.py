"""What stands in for NumPy's two array classes of another meaning: matrices, and arrays of which entries are masked.

Only what is written here is recorded of them; all else is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.operations import plain
from gradlab.tape.program import Program
from gradlab.tape.recorded import NotRecorded, Recorded, holds_recorded, lift, nodes, recorded


class Matrix(Recorded):
    """As np.matrix: two axes always, and * is the matrix product."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        return as_matrix(super().__array_ufunc__(ufunc, method, *inputs, **options))

    def __mul__(self, other: Any) -> Any:
        return np.multiply(self, other) if np.ndim(other) == 0 else self @ as_matrix(lift(self.program, other))

    def __rmul__(self, other: Any) -> Any:
        return np.multiply(other, self) if np.ndim(other) == 0 else as_matrix(lift(self.program, other)) @ self

    def __imul__(self, other: Any) -> Any:
        self[...] = self * other
        return self

    def __pow__(self, exponent: Any, modulus: None = None) -> Any:
        return as_matrix(np.linalg.matrix_power(self.A, exponent))

    def __getitem__(self, key: Any) -> Any:
        made = super().__getitem__(key)
        if made.ndim != 1:
            return as_matrix(made)
        column = isinstance(key, tuple) and len(key) > 1 and np.isscalar(key[1])
        return as_matrix(made.reshape(-1, 1) if column else made)

    @property
    def T(self) -> Any:  # noqa: N802  (NumPy's name)
        return as_matrix(np.swapaxes(self.A, 0, 1))

    @property
    def A(self) -> Any:  # noqa: N802  (NumPy's name)
        """The same numbers as an array."""
        return recorded(self.program, nodes(self), self.format)

    @property
    def I(self) -> Any:  # noqa: N802, E743  (NumPy's name)
        """The inverse."""
        return as_matrix(np.linalg.inv(self.A))


def as_matrix(array: Any) -> Any:
    """A recorded array of at least one axis as a matrix; anything else as it is."""
    if not isinstance(array, Recorded) or array.ndim == 0:
        return array
    made = np.ndarray.view(np.atleast_2d(array), Matrix)
    made.program, made.format = array.program, array.format
    return made


class Masked:
    """As np.ma.masked_array, for sums and means over what is not masked."""

    def __init__(self, data: Any, mask: Any) -> None:
        self.data, self.mask = data, np.broadcast_to(np.asarray(plain(mask), bool), data.shape)

    def filled(self, value: Any) -> Any:
        """An array with a value where it is masked."""
        return np.where(self.mask, value, self.data)

    def compressed(self) -> Any:
        """What is not masked, (n,)."""
        return self.data[~self.mask]

    def count(self, axis: Any = None) -> Any:
        """How many are not masked."""
        return (~self.mask).sum(axis=axis)

    def sum(self, axis: Any = None) -> Any:
        """The sum of what is not masked."""
        self._nowhere_all(axis)
        return self.filled(0.0).sum(axis=axis)

    def mean(self, axis: Any = None) -> Any:
        """The mean of what is not masked."""
        self._nowhere_all(axis)
        return self.sum(axis) * 1.0 / self.count(axis)

    def _nowhere_all(self, axis: Any) -> None:
        if self.mask.all(axis=axis).any():
            raise NotRecorded("a masked array of which nothing is left is not recorded")

    def __getattr__(self, name: str) -> Any:
        raise NotRecorded(f"{name} of a masked array is not recorded; use np.where")

    def __array_ufunc__(self, ufunc: np.ufunc, *args: Any, **options: Any) -> Any:
        raise NotRecorded(f"np.{ufunc.__name__} of a masked array is not recorded; use np.where")

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function in (np.sum, np.mean):
            return getattr(self, function.__name__)(*args[1:], **options)
        raise NotRecorded(f"np.{function.__name__} of a masked array is not recorded; use np.where")


def of_matrices(program: Program) -> dict[str, Callable[..., Any]]:
    """The stand-ins of numpy's functions that make matrices."""

    def matrix(data: Any, dtype: Any = None, copy: bool = True) -> Any:
        if isinstance(data, str):
            raise NotRecorded("np.matrix of text is not recorded")
        made = lift(program, data).astype(dtype or np.float64, copy=copy)
        if made.ndim > 2:
            raise ValueError("matrix must be 2-dimensional")
        return as_matrix(made)

    return {"matrix": matrix, "asmatrix": lambda data, dtype=None: matrix(data, dtype, False)}


def of_masked(program: Program) -> dict[str, Callable[..., Any]]:
    """The stand-ins of numpy.ma's functions that make masked arrays."""

    def masked(name: str, place: int) -> Callable[..., Any]:
        def make(*args: Any, **options: Any) -> Any:
            if not any(map(holds_recorded, (*args, *options.values()))):
                return getattr(np.ma, name)(*args, **options)
            mask = options.pop("mask", args[1 - place] if len(args) > 1 else False)
            if options or len(args) > 2:
                raise NotRecorded(f"np.ma.{name} with these options is not recorded")
            return Masked(lift(program, args[place]), mask)

        return make

    return {
        "masked_array": masked("masked_array", 0),
        "array": masked("array", 0),
        "masked_where": masked("masked_where", 1),
    }
