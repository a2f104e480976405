"""NumPy's functions of whole arrays: which file of the vocabulary answers for each.

reductions, products, choices, linalg   calculate, each with the value that the function itself gives
moves                                   left to NumPy, on the arrays of indices
READ                                    what they say of the floats; a program holds nothing of it
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradlab.tape.choices import CHOICES
from gradlab.tape.linalg import LINALG
from gradlab.tape.moves import MOVERS, MOVES, moved
from gradlab.tape.operations import plain
from gradlab.tape.products import PRODUCTS
from gradlab.tape.program import Program
from gradlab.tape.recorded import ANSWERS, NotRecorded, Recorded, nodes
from gradlab.tape.reductions import REDUCTIONS

CALCULATE: dict[Any, Callable[..., Any]] = REDUCTIONS | PRODUCTS | CHOICES | LINALG | MOVERS

NAMES = """shape ndim size array_repr array_str array2string isrealobj iscomplexobj isreal iscomplex isneginf isposinf
    isscalar iterable result_type can_cast min_scalar_type common_type einsum_path save savez savez_compressed
    savetxt"""
READ = {getattr(np, name) for name in NAMES.split()}
SHARING = {np.shares_memory, np.may_share_memory}


def call(program: Program, function: Any, args: Any, kwargs: Any) -> Any:
    """What Recorded.__array_function__ answers.

    Raises:
        NotRecorded: the program has no operation for it.
    """
    kwargs = {key: value for key, value in kwargs.items() if value is not np._NoValue}
    if function in CALCULATE:
        return CALCULATE[function](program, *args, **kwargs)
    if function in MOVES:
        return moved(program, function, args, kwargs)
    if function in READ:
        return function(*[plain(one) for one in args], **{key: plain(value) for key, value in kwargs.items()})
    if function in SHARING:
        return function(*[nodes(one) if isinstance(one, Recorded) else one for one in args], **kwargs)
    raise NotRecorded(f"{function.__module__}.{function.__name__} is not recorded".replace("numpy", "np", 1))


ANSWERS["function"] = call
