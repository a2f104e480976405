"""Programs of array operations: recorded once from NumPy code, replayed in any arithmetic, differentiated by sweeps.

program     what was calculated: blocks of operations on whole arrays, their operands, and the line that asked for each
recorded    arrays that record, for NumPy code that knows of no tape
operations  what NumPy's vocabulary is written in: operations of a program with NumPy's values
ufuncs      NumPy's elementwise functions; composed: those that are several operations
functions   all its others: reductions, products, choices, linalg, moves; methods: those of arrays
derivatives the partial derivatives of every operation, each written once
replay      a program in another arithmetic, with its comparisons asked again
adjoints    reverse sweeps: the derivatives of outputs by every node
paths       what rounding may do to a derivative multiplied out in any order

NumPy is all it knows.
"""

from gradlab.tape import functions, methods, ufuncs  # noqa: F401  (they answer for recorded arrays)
from gradlab.tape.adjoints import Adjoints
from gradlab.tape.program import Block, Frame, Guard, Program, Site
from gradlab.tape.recorded import NotRecorded, Recorded, nodes
from gradlab.tape.replay import Run, Tie, replay

__all__ = [
    "Adjoints",
    "Block",
    "Frame",
    "Guard",
    "NotRecorded",
    "Program",
    "Recorded",
    "Run",
    "Site",
    "Tie",
    "nodes",
    "replay",
]
