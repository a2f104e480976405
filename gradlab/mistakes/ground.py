"""A problem that code is tried on, with what is right on it."""

from __future__ import annotations

from typing import Any

from gradlab.cells import Cell, Code
from gradlab.mistakes.runs import Outcome, disjoint, recorded_code, same
from gradlab.oracles import oracle
from gradlab.problem import Problem

BITS = (128, 256)


class Ground:
    """One problem with what is right on it, at several precisions."""

    def __init__(self, cell: Cell, problem: Problem) -> None:
        self.cell, self.problem = cell, problem
        self._right: dict[int, dict[str, Any]] = {}

    def right(self, bits: int) -> dict[str, Any]:
        """Every certified quantity at that precision."""
        if bits not in self._right:
            self._right[bits] = oracle("certified").evidence(self.cell, self.problem, bits).values
        return self._right[bits]

    def outcome(self, code: Code) -> Outcome:
        """What code gives, at the precision in force; code that leaves a quantity out is refused, as by the checker."""
        seen = recorded_code(self.cell, code).outcome(self.problem)
        missing = [name for name in self.cell.quantities if name not in seen.found]
        return seen if seen.refused or not missing else seen._replace(refused=f"{missing[0]} is not returned")

    def wrong(self, seen: Outcome, bits: int = BITS[0]) -> list[str]:
        """The quantities proven to differ from the certified ones; "loss" too where its total is not its sum."""
        differ = [name for name, value in self.right(bits).items() if disjoint(seen.found[name], value)]
        return [*differ, "loss"] if seen.misreported and "loss" not in differ else differ

    def agrees(self, seen: Outcome, bits: int) -> bool:
        """Whether everything, also the total that is reported, is what it should be, to as many digits as count."""
        if seen.refused or seen.misreported:
            return False
        return all(same(seen.found[name], value) for name, value in self.right(bits).items())
