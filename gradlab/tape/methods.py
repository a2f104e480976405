"""Methods of recorded arrays that NumPy would answer itself, one list of names for each way.

FUNCTIONS   are the function of the same name, which NumPy asks about where it does not ask about the method
MEMORY      read or write an array's memory, where indices stand
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.recorded import ARRAY, PYTHON, NotRecorded, Recorded, as_python, is_python

FUNCTIONS = """sum mean var std prod max min argmax argmin argsort argpartition any all clip cumsum cumprod trace round
    nonzero dot diagonal repeat take choose searchsorted"""
MEMORY = "byteswap getfield setfield resize tofile dump dumps"
MEMORY_ATTRIBUTES = "data ctypes base __array_interface__ __array_struct__"
BINARY, UNARY = "add sub mul truediv floordiv mod", "neg pos abs"
IN_PLACE = "add sub mul truediv pow matmul mod floordiv"


def _function(name: str) -> Callable[..., Any]:
    function = getattr(np, name)

    def method(self: Recorded, *args: Any, **options: Any) -> Any:
        return function(self, *args, **{key: value for key, value in options.items() if value is not np._NoValue})

    method.__name__ = name
    return method


def _unreadable(name: str) -> Callable[..., Any]:
    def read(self: Recorded, *args: Any, **options: Any) -> Any:
        raise NotRecorded(f"{name} of an array reads or writes its memory, which is not recorded")

    return read


def _operator(name: str) -> Callable[..., Any]:
    """What Python calculates from its own floats is its own again, and takes the format of an array that it meets."""
    native = getattr(np.ndarray, name)

    def method(self: Recorded, *other: Any) -> Any:
        made = native(self, *other)
        return as_python(made) if self.kind == PYTHON and all(map(is_python, other)) else made

    return method


def _in_place(name: str) -> Callable[..., Any]:
    native = getattr(np.ndarray, f"__i{name}__")

    def method(self: Recorded, other: Any) -> Any:
        # A scalar is immutable: what else is called by its name keeps its value.
        return getattr(operator, name)(self, other) if self.kind != ARRAY else native(self, other)

    return method


METHODS = (
    {name: _function(name) for name in FUNCTIONS.split()}
    | {name: _unreadable(name) for name in MEMORY.split()}
    | {name: property(_unreadable(name)) for name in MEMORY_ATTRIBUTES.split()}
    | {f"__{side}{name}__": _operator(f"__{side}{name}__") for name in BINARY.split() for side in ("", "r")}
    | {f"__{name}__": _operator(f"__{name}__") for name in UNARY.split()}
    | {f"__i{name}__": _in_place(name) for name in IN_PLACE.split()}
)
for _name, _answer in METHODS.items():
    setattr(Recorded, _name, _answer)
