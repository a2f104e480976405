"""A file under test that runs in a process of its own, in the place of a `Submission` that runs here."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from gradlab.arithmetic import ball, balls, finite, overlaps, radii, relative_radius
from gradlab.cells import Cell, run
from gradlab.checker.allowance import allowance
from gradlab.checker.submission import Returned, Submission
from gradlab.checker.verdict import BALL_RESOLUTION
from gradlab.checker.watch import SubmissionError
from gradlab.classroom import wire
from gradlab.classroom.limits import Limits
from gradlab.classroom.proxy import proxy
from gradlab.classroom.rebuilt import returned
from gradlab.classroom.sandbox import Sandbox
from gradlab.equations import equations
from gradlab.oracles import certified
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]
Shapes = dict[str, tuple[int, ...]]

CALLS = 3  # forward, loss and the gradient


class IsolatedSubmission(Submission):
    """A file under test, run in a process of its own; a context manager.

    Args:
        cell: what it claims to be. path: the file. limits: what it may use.

    It gives what `Submission` gives, and takes nothing on trust: exact values that stay vague at the last
    precision are refused, so that they cannot excuse a wrong number.

    Raises:
        SubmissionError: the file cannot be judged; also from every method.
    """

    def __init__(self, cell: Cell, path: str | Path, limits: Limits | None = None) -> None:
        self.cell = cell
        self.limits = limits or Limits()
        self.seconds = self.limits.seconds
        self.code = proxy(cell, str(path), self._all)
        if not Path(path).is_file():
            raise SubmissionError(f"{path}: {'not a file' if Path(path).exists() else 'no such file'}")
        self.sandbox = Sandbox(path, self.limits)
        try:
            detail = {"cell": cell.name, "path": self.sandbox.full, "seconds": self.seconds}
            self.sandbox.ask(wire.Request("load", detail, {}), wire.LOADED, 0, self.seconds + self.limits.grace)
        except BaseException:
            self.close()
            raise

    def floats(self, problem: Problem) -> dict[str, Array]:
        shapes, dtype = self._shapes(problem), problem.dtype
        payload = self._ask("floats", problem, wire.ARRAYS, wire.packed_size(shapes, dtype))
        return self._read(lambda: wire.unpack_arrays(payload, shapes, dtype))

    def rounding(self, problem: Problem) -> dict[str, Array]:
        """What the file claims that rounding may do to its floats: a claim, no more."""
        shapes = self._shapes(problem)
        payload = self._ask("rounding", problem, wire.ARRAYS, wire.packed_size(shapes, np.float64))
        claimed = self._read(lambda: wire.unpack_arrays(payload, shapes, np.float64))
        if not all((bound >= 0).all() for bound in claimed.values()):
            raise SubmissionError(f"{self.origin}: its rounding bounds are no bounds; it must leave gradlab alone")
        return claimed

    def balls(self, problem: Problem) -> Returned:
        bits, shapes = vars(ball)["ctx"].prec, self._shapes(problem)
        payload = self._ask("balls", problem, wire.BALLS, wire.most_ball_bytes(shapes, bits), bits)
        found = self._read(lambda: wire.unpack_balls(payload, shapes, bits))
        inputs = problem.inputs(balls)
        if bits >= certified.PRECISIONS[-1]:
            self._refuse_vague(problem, inputs, found, bits)
        return returned(self.cell, inputs, found)

    def attempt(self, problem: Problem, bits: int = 0) -> tuple[dict[str, str], dict[str, Array]]:
        """A lesson's equations, one by one, by name: why it has no value, "" where it has one; and the values.

        Args:
            bits: on balls of that precision, or 0: in the problem's dtype.
        """
        names = [equation.name for equation in equations(self.cell.code.gradient).values()]
        shapes = {name: self._shapes(problem)[name] for name in names}
        size = wire.most_ball_bytes(shapes, bits) if bits else wire.packed_size(shapes, problem.dtype)
        payload = self._ask("attempt", problem, wire.ATTEMPT, size + wire.MOST_STATUS, bits)
        line, _, packed = payload.partition(b"\n")
        status = self._read(lambda: _status(line, names))
        if bits:
            return status, self._read(lambda: wire.unpack_balls(packed, shapes, bits))
        return status, self._read(lambda: wire.unpack_arrays(packed, shapes, problem.dtype))

    def close(self) -> None:
        """End its process and all that it has started."""
        self.sandbox.close()

    def __enter__(self) -> IsolatedSubmission:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _all(self, problem: Problem, exact: bool) -> Returned:
        if exact:
            return self.balls(problem)
        return returned(self.cell, problem.inputs(), self.floats(problem))

    def _shapes(self, problem: Problem) -> Shapes:
        sizes = problem.sizes
        return {name: tuple(sizes[n] for n in quantity.axes) for name, quantity in self.cell.quantities.items()}

    def _ask(self, what: str, problem: Problem, kind: bytes, most: int, bits: int = 0) -> bytes:
        asked = wire.Request(what, {"bits": bits}, problem.arrays())
        return self.sandbox.ask(asked, kind, most, CALLS * self.seconds + self.limits.grace)

    def _read(self, read: Callable[[], Any]) -> Any:
        try:
            return read()
        except wire.WireError as error:
            raise SubmissionError(f"{self.origin}: writes to gradlab's channel: {error}") from None

    def _refuse_vague(self, problem: Problem, inputs: Inputs, found: dict[str, Array], bits: int) -> None:
        """Refuse balls that hold the right value but leave open what half the bits in force should settle.

        So much room is left because another right formula may cancel where the shipped one does not.
        """
        natural = allowance(self.cell, problem).natural
        for name, right in run(self.cell, inputs).items():
            known = (relative_radius(right) <= BALL_RESOLUTION) & ~overlaps(right, np.zeros_like(right))
            wide = finite(found[name]) & (relative_radius(found[name]) > BALL_RESOLUTION)
            wide &= radii(found[name]) > natural[name] * 2.0 ** -(bits // 2)
            if (known & wide & overlaps(found[name], right)).any():
                label = self.cell.quantities[name].label
                raise SubmissionError(f"{self.origin}: {label} stays vague at {bits} bits, where it is known to all")


def _status(line: bytes, names: list[str]) -> dict[str, str]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise wire.WireError("no status of its equations") from None
    if not isinstance(said, dict) or list(said) != names or not all(isinstance(text, str) for text in said.values()):
        raise wire.WireError("no status of its equations")
    return {name: wire.one_line(text.encode(errors="replace"), 300) for name, text in said.items()}
