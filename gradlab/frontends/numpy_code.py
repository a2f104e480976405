"""A recording of NumPy functions: called one after the other in one world, on nodes of one program."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import numpy as np

from gradlab.frontends.rebind import Rebind
from gradlab.frontends.recording_numpy import RecordingNumPy
from gradlab.tape.program import Program, called
from gradlab.tape.recorded import NotRecorded, Recorded, lift, nodes, recorded

Array = np.ndarray[Any, Any]


class Recording:
    """Functions made anew (see `gradlab.frontends.rebind`) and the program of what they calculate.

    Args:
        functions: the user's, by name. codes: what code the copies run in the place of other code.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], codes: Mapping[CodeType, CodeType] | None = None
    ) -> None:
        self.program = Program()
        self.rebind = Rebind(RecordingNumPy(self.program), codes)
        self.functions = {name: self.rebind(function) for name, function in functions.items()}

    def leaf(self, values: Any, origin: str) -> Array:
        """New nodes with these values; origin: parameter, upstream, captured or made."""
        return self.program.append("numbers", (), values, origin)

    def array(self, index: Array, dtype: Any, *, number: bool = False) -> Any:
        """An array of its own of nodes, to be given to code; number: as a NumPy scalar."""
        made = recorded(self.program, index.copy("K"), dtype)
        return made[()] if number else made

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """function(*args), recorded; what a frame beyond this one is, is not the user's."""
        with np.errstate(all="ignore"):
            return called(function, *args)

    def nodes(self, given: Any) -> Array:
        """The nodes of what a function returned: an array, a number, or lists of them."""
        return nodes(given if isinstance(given, Recorded) else lift(self.program, given))

    def whole(self) -> None:
        """Raises NotRecorded where a number was calculated with in a way that the program does not hold."""
        if self.program.lost:
            raise NotRecorded(self.program.lost[0])
