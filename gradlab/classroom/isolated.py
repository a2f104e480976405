"""A file under test that runs in a process of its own, in the place of a `Submission` that runs here."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from gradlab.arithmetic import finite, overlaps, radii, relative_radius
from gradlab.arithmetic.ball import balls
from gradlab.arithmetic.balls import bits_in_force
from gradlab.cells import Cell, run
from gradlab.checker.allowance import allowance
from gradlab.checker.submission import TOTAL, Returned, Submission
from gradlab.checker.verdict import BALL_RESOLUTION
from gradlab.checker.watch import SubmissionError
from gradlab.classroom import wire
from gradlab.classroom.limits import Limits
from gradlab.classroom.plan import Plan
from gradlab.classroom.proxy import proxy
from gradlab.classroom.rebuilt import returned
from gradlab.classroom.sandbox import Sandbox
from gradlab.classroom.skeleton import described
from gradlab.classroom.source import Source, read_source
from gradlab.oracles import certified
from gradlab.problem import Inputs, Problem

Array = np.ndarray[Any, Any]
Shapes = dict[str, tuple[int, ...]]

CALLS = 3  # forward, loss and the gradient


class Stuck(SubmissionError):
    """It does not go on; `equation` is the one it was at, "" where it was at none."""

    def __init__(self, text: str, equation: str) -> None:
        super().__init__(text)
        self.equation = equation


class Step(NamedTuple):
    """What an equation gave at one step, None where it is evaluated whole: a value, or why there is none."""

    name: str
    at: int | None
    value: Array | None
    why: str


class IsolatedSubmission(Submission):
    """A file under test, run in a process of its own; a context manager.

    Args:
        cell: what it claims to be. source: the file. limits: what it may use.
        plan: run its equations one by one (`steps`); without, its functions as they are (`floats`, `balls`).
        readable: what it may read beside Python, its libraries and gradlab; by default the modules it has beside it.

    It gives what `Submission` gives, and takes nothing on trust: exact values that stay vague at the last
    precision are refused, so that they cannot excuse a wrong number.

    Raises:
        SubmissionError: the file cannot be judged; also from every method.
    """

    def __init__(
        self,
        cell: Cell,
        source: Source | str | Path,
        limits: Limits | None = None,
        *,
        plan: Plan | None = None,
        readable: Iterable[Path] | None = None,
    ) -> None:
        self.cell = cell
        self.limits = limits or Limits()
        self.seconds = self.limits.seconds
        self.source = source if isinstance(source, Source) else read_source(source)
        self.code = proxy(cell, str(self.source.path), self._all)
        text = plan.text if plan else self.source.text
        if not plan:
            _ = self.source.tree  # what is no Python is said before a process is started
        self.sandbox = Sandbox(self.source.path, self.limits, self.source.helpers() if readable is None else readable)
        try:
            detail = {"cell": described(cell), "path": self.sandbox.full, "text": text, "seconds": self.seconds}
            detail["spots"] = plan.to_json() if plan else None
            self._within(
                lambda: self.sandbox.ask(
                    wire.Request("load", detail, {}), wire.LOADED, 0, self.seconds + self.limits.grace
                )
            )
        except BaseException:
            self.close()
            raise

    @property
    def confined(self) -> tuple[str, ...]:
        """What the process is kept from, by what keeps it."""
        return self.sandbox.confined

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
        bits, shapes = bits_in_force(), self._shapes(problem)
        payload = self._ask("balls", problem, wire.BALLS, wire.most_ball_bytes(shapes, bits), bits)
        found = self._read(lambda: wire.unpack_balls(payload, shapes, bits))
        inputs = problem.inputs(balls)
        if bits >= certified.PRECISIONS[-1]:
            self._refuse_vague(problem, inputs, found, bits)
        return returned(self.cell, inputs, found)

    def steps(
        self, problem: Problem, right: Mapping[str, Array], functions: Sequence[str], skip: Iterable[str], bits: int = 0
    ) -> tuple[list[Step], str]:
        """What the equations give, one by one, each with everything else right; and what ended it early, or "".

        Args:
            right: the right values of every quantity, in the arithmetic asked for.
            functions: those whose equations are evaluated. skip: equations that are not.
            bits: on balls of that precision, or 0: in the problem's dtype.

        Raises:
            Stuck: it does not go on.
        """
        shapes = self._shapes(problem)
        detail = {"bits": bits, "functions": list(functions), "skip": sorted(skip), "seconds": self.limits.equation}
        detail["shapes"] = {name: list(shape) for name, shape in shapes.items()}
        found: list[Step] = []
        at = ""

        def packed(array: Array) -> bytes:
            return wire.pack_balls([array], bits) if bits else wire.pack_arrays([array], problem.dtype)

        most = wire.most_ball_bytes(shapes, bits) if bits else wire.packed_size(shapes, problem.dtype)
        kinds = {wire.BEGUN: 256, wire.HELPER: wire.MOST_TEXT, wire.ENDED: wire.MOST_TEXT, wire.FAILED: wire.MOST_TEXT}
        kinds |= {wire.SKIPPED: 256, wire.VALUE: most + 256}
        grace = self.limits.grace
        try:
            self.sandbox.send(wire.REQUEST, wire.request(wire.Request("steps", detail, problem.arrays())), self.seconds)
            traces = [right[quantity.name] for quantity in self.cell.of_kind("trace")]
            whole = wire.pack_balls(traces, bits) if bits else wire.pack_arrays(traces, problem.dtype)
            self.sandbox.send(wire.RIGHT, whole, self.seconds)
            while True:
                patience = (self.limits.equation if at else self.seconds) + grace
                kind, payload = self.sandbox.receive(kinds, patience, "running an equation" if at else "running it")
                if kind == wire.ENDED:
                    return found, wire.one_line(payload)
                if kind == wire.HELPER:
                    continue
                head, _, rest = payload.partition(b"\n")
                name, index = self._read(lambda head=head: _place(head, shapes))  # type: ignore[misc]
                if kind == wire.BEGUN:
                    at = name
                    continue
                at = ""
                wanted = right[name] if index is None else right[name][index]
                if kind == wire.VALUE:
                    value = self._read(lambda rest=rest, name=name, wanted=wanted: _value(rest, wanted, bits))  # type: ignore[misc]
                    found.append(Step(name, index, value, ""))
                elif kind == wire.FAILED:
                    found.append(Step(name, index, None, self._named_as_here(wire.one_line(rest, 300))))
                self.sandbox.send(wire.RIGHT, packed(np.asarray(wanted)), grace + 1)
        except SubmissionError as error:
            self.close()
            raise Stuck(str(error), at) from None

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
        quantities = self.cell.quantities.items()
        return {name: tuple(sizes[n] for n in quantity.axes) for name, quantity in quantities} | {TOTAL: ()}

    def _named_as_here(self, text: str) -> str:
        return text.replace(self.sandbox.full, self.origin)

    def _within(self, ask: Callable[[], Any]) -> Any:
        """What it says of a line of a notebook, said of the line of its cell."""
        try:
            return ask()
        except SubmissionError as error:
            if not self.source.cells:
                raise
            where = re.compile(re.escape(f"{self.source.path}") + r":(\d+)")
            text = where.sub(lambda match: self.source.where(int(match[1])), str(error))
            raise type(error)(text) from None

    def _ask(self, what: str, problem: Problem, kind: bytes, most: int, bits: int = 0) -> bytes:
        asked = wire.Request(what, {"bits": bits}, problem.arrays())
        seconds = CALLS * self.seconds + self.limits.grace
        return self._within(lambda: self.sandbox.ask(asked, kind, most, seconds))

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


def _place(head: bytes, shapes: Shapes) -> tuple[str, int | None]:
    try:
        name, index = json.loads(head)
        known = name in shapes and (index is None or -1 <= int(index) < shapes[name][0])
    except (ValueError, TypeError, RecursionError, IndexError, KeyError):
        known = False
    if not known:
        raise wire.WireError("an equation that there is not")
    return name, index


def _value(payload: bytes, wanted: Array, bits: int) -> Array:
    shape, dtype = np.shape(wanted), np.asarray(wanted).dtype
    if bits:
        return wire.unpack_balls(payload, {"": shape}, bits)[""]
    return wire.unpack_arrays(payload, {"": shape}, dtype)[""]
