"""Types that stand for float, np.float64, np.ndarray … while code is recorded: what is recorded belongs to them too."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.program import FLOAT64
from gradlab.tape.recorded import (
    ARRAY,
    NUMPY,
    PYTHON,
    NotRecorded,
    Recorded,
    as_python,
    cast,
    nodes,
    one_call,
    recorded,
)

FORMATS = ("float64", "float32", "float16", "double", "single", "half")


def numpy_types(own: Callable[[Any], Any]) -> dict[str, Any]:
    """The stand-ins of NumPy's types by name; own: what makes an array of floats a recorded one."""
    made: dict[str, Any] = {name: float_type(getattr(np, name), np.dtype(name), own) for name in FORMATS}
    for name in ("floating", "inexact", "number", "generic"):
        made[name] = _kind(getattr(np, name), lambda one: one.kind == NUMPY)
    made["issubdtype"] = lambda one, other: np.issubdtype(*(getattr(each, "stands_for", each) for each in (one, other)))
    return made | {"ndarray": _kind(np.ndarray, lambda one: one.kind == ARRAY)}


def abstract_types() -> dict[str, Any]:
    """The stand-ins of the types of Python's numbers."""
    return {
        name: _kind(getattr(numbers, name), lambda one: one.kind != ARRAY) for name in ("Number", "Complex", "Real")
    }


def _kind(real: Any, holds: Callable[[Recorded], bool]) -> Any:
    """A type to which belong the recorded numbers of some kinds."""

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            return holds(instance) if isinstance(instance, Recorded) else isinstance(instance, real)

        def __subclasscheck__(cls, subclass: Any) -> bool:
            return issubclass(subclass, real)

        def __eq__(cls, other: object) -> bool:
            return other is cls or other is real or (real is np.ndarray and other is Recorded)

        __hash__ = type.__hash__

        def __getattr__(cls, name: str) -> Any:
            return getattr(Recorded if real is np.ndarray else real, name)

        def __getitem__(cls, item: Any) -> Any:
            return real[item]

        def __call__(cls, *args: Any, **options: Any) -> Any:
            raise NotRecorded(f"{real.__name__}(…) is not recorded")

    return Kind(real.__name__, (), {"stands_for": real})


def float_type(real: Any, dtype: np.dtype[Any], own: Callable[[Any], Any]) -> Any:
    """A type that keeps a recorded number, and is a dtype as the real one is."""
    numbers = (real, float) if real is float else (real,)
    kinds = (PYTHON, NUMPY) if real is float else (NUMPY,)

    class Kind(type):
        def __instancecheck__(cls, instance: Any) -> bool:
            if not isinstance(instance, Recorded):
                return isinstance(instance, numbers)
            # np.float64 is a float.
            return instance.kind in kinds and instance.format == dtype

        def __subclasscheck__(cls, subclass: Any) -> bool:
            return issubclass(subclass, real)

        def __eq__(cls, other: object) -> bool:
            return other is cls or other is real

        __hash__ = type.__hash__

        def __getattr__(cls, name: str) -> Any:
            return getattr(real, name)

    class Float(metaclass=Kind):
        def __new__(cls, given: Any = 0.0) -> Any:
            if not isinstance(given, Recorded):
                return own(real(given))
            if real is float and given.size != 1:
                raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
            with one_call(given.program):
                made = cast(given, dtype)
            if real is float:
                return as_python(made)
            made = recorded(given.program, nodes(made).copy(), made.format)
            if made.ndim == 0:
                made.kind = NUMPY
            return made

    Float.stands_for = real  # type: ignore[attr-defined]
    Float.dtype = dtype  # type: ignore[attr-defined]
    Float.__name__ = Float.__qualname__ = real.__name__
    return Float


def python_float(own: Callable[[Any], Any]) -> Any:
    """The stand-in of float."""
    return float_type(float, FLOAT64, own)
