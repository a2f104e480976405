"""One line in a test of otter-grader: `gradlab.classroom.equation_test(env, "rnn.delta_implicit")`.

An assignment's notebook defines `forward`, `loss` and `bptt`; otter hands its names to the test. The functions run in
this process, which otter itself has put away.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gradlab.arithmetic import finite, overlaps, precision
from gradlab.arithmetic.ball import balls
from gradlab.cells import Code, cell
from gradlab.checker.locate import _local
from gradlab.checker.submission import Submission
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.grade import BITS
from gradlab.mistakes.probes import probes


class EquationWrong(AssertionError):
    """An equation that does not hold, or a gradient that cannot be run; the message is a hint, never the key."""


def equation_test(env: Mapping[str, Any], label: str, *, seconds: float = 10.0) -> None:
    """Assert that one equation of a cell holds, everything upstream of it taken as the notebook gives it.

    Args:
        env: the notebook's names, with the cell's three functions among them.
        label: the equation: "rnn.delta_implicit".

    Raises:
        EquationWrong: it does not hold, or what is needed for it does not run.
        KeyError: no such cell, or it has no such equation.
    """
    tested = cell(label.partition(".")[0])
    if label not in tested.equations:
        raise KeyError(f"{tested.name} has no equation {label}; it has {', '.join(tested.equations)}")
    missing = [name for name in tested.code.names if not callable(env.get(name))]
    if missing:
        raise EquationWrong(f"{label}: {', '.join(missing)} must be defined first")
    forward, loss, gradient = (env[name] for name in tested.code.names)
    code = Code(forward, loss, gradient, "the notebook")
    name = label.partition(".")[2]
    with precision(BITS):
        for problem in probes(tested):
            try:
                returned = Submission(tested, code, seconds).balls(problem)
            except SubmissionError as error:
                raise EquationWrong(f"{label}: {error}") from None
            right = _local(tested, problem.inputs(balls), returned.trace, returned.quantities)[name]
            value = returned.quantities[name]
            wrong = ~overlaps(value, right) | (~finite(value) & finite(right))
            if wrong.any():
                axes = tested.quantities[name].axes
                steps = [t for t in range(len(wrong)) if wrong[t].any()] if axes[:1] == ("T",) else []
                where = f" at step {', '.join(map(str, steps))} of 0 to {len(wrong) - 1}" if steps else ""
                raise EquationWrong(f"{label} does not hold{where}, with everything before it as it is")
