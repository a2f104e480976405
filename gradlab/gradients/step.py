"""Is this single-step cell right? The lab owns the loop over time, the sums and the carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gradlab.checker.verdict import Verdict
from gradlab.gradients.called import GradientCheckError, call, in_one_line, needs_callable, takes
from gradlab.gradients.check import limits, patience
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.cotangents import drawn, paired, zeros
from gradlab.gradients.findings import Findings
from gradlab.gradients.points import SEVERAL, inspect
from gradlab.gradients.report import GradientReport
from gradlab.gradients.subject import Functions, Subject
from gradlab.gradients.tree import mapped, tree, walked
from gradlab.tape.operations import detach
from gradlab.tape.recorded import Recorded

SHORT = 3  # fewer steps hide a recursion that carries the wrong thing


class Inputs(NamedTuple):
    """What a cell is run on."""

    params: Any
    state: Any
    x: Any


class Unrolled:
    """A cell over T steps, its outputs weighed at every step, its last state too.

    weights: one cotangent tree for each step's output, then one for the last state.

    Args:
        truncation: the state is a constant at every so many steps, and the carry is cut there.
    """

    def __init__(self, inputs: Inputs, truncation: int | None) -> None:
        self.truncation = truncation
        self.steps = len(inputs.x)
        self.boundaries: dict[int, Any] = {}

    def output(self, functions: Functions, given: Inputs, weights: list[Any]) -> Any:
        total, state = 0.0, given.state
        for t in range(self.steps):
            if self._cut(t):
                state = self._constant(state, t)
            out, state, _ = _three(functions["forward_step"](given.params, given.x[t], state))
            total = total + paired(weights[t], out)
        return total + paired(weights[-1], state)

    def gradient(self, functions: Functions, given: Inputs, weights: list[Any]) -> Any:
        caches, state = [], given.state
        for t in range(self.steps):
            out, state, cache = _three(functions["forward_step"](given.params, given.x[t], state))
            caches.append(cache)
        carry, total, by_x = weights[-1], None, []
        for t in reversed(range(self.steps)):
            found = functions["backward_step"](given.params, weights[t], carry, caches[t])
            if not isinstance(found, (tuple, list)) or len(found) not in (2, 3):
                raise GradientCheckError("backward_step must return (d_params, d_state) or (d_params, d_state, d_x)")
            total = found[0] if total is None else _sum(total, found[0])
            carry = zeros(given.state) if self._cut(t) else found[1]
            by_x += [found[2]] if len(found) == 3 else []
        gradient = {"params": total, "state": carry}
        return gradient | ({"x": _stacked(by_x[::-1])} if by_x else {})

    def remember(self, functions: Functions, given: Inputs) -> None:
        """Keep the states at the cuts, which differences must not move."""
        state = given.state
        for t in range(self.steps):
            if self._cut(t):
                self.boundaries[t] = mapped(lambda _, leaf: np.array(leaf), state, "")
            _, state, _ = _three(functions["forward_step"](given.params, given.x[t], state))

    def _cut(self, t: int) -> bool:
        return self.truncation is not None and t > 0 and t % self.truncation == 0

    def _constant(self, state: Any, t: int) -> Any:
        if any(isinstance(leaf, Recorded) for _, leaf in walked(state, "")):
            return mapped(lambda _, leaf: detach(leaf), state, "")
        return mapped(lambda _, leaf: leaf.copy(), self.boundaries[t], "")


@in_one_line
def check_step(
    forward_step: Callable[[Any, Any, Any], Any],
    backward_step: Callable[[Any, Any, Any, Any], Any],
    params: Any,
    x: Any,
    state: Any,
    *,
    truncation: int | None = None,
    sign: int = 1,
    scale: float = 1,
    seconds: float = 60,
    examples: int = 2000,
    seed: int = 0,
    points: str = SEVERAL,
    diagnosis: float = 10,
    hint: bool = False,
) -> GradientReport:
    """Hold one step's backward pass against the derivatives of the whole sequence.

    The loss weighs every output of every step and the last state at random. The lab runs the steps, sums the gradients
    of the weights over time and hands the gradient of the state from each step to the one before.

    Args:
        forward_step: forward_step(params, x_t, state) -> (output, next state, cache).
        backward_step: backward_step(params, d_output, d_state, cache) -> (d_params, d_state) or (d_params, d_state,
            d_x), where d_state is first the gradient by the step's own next state, then by the state before it.
        params, state: trees of arrays. x: (T, …), or a list of T inputs.
        truncation: cut the carry at every so many steps.
        sign, scale, seconds, examples, seed, points, diagnosis, hint: as in `check_gradient`.

    Raises:
        GradientCheckError: what is wrong with the arguments or the functions, in one line.
    """
    needs_callable(forward_step=forward_step, backward_step=backward_step)
    takes("forward_step", forward_step, "params", "x_t", "state")
    takes("backward_step", backward_step, "params", "d_output", "d_state", "cache")
    limits(seconds, examples, seed, points)
    if truncation is not None:
        limits(seconds, truncation, seed)
    inputs = Inputs(params, state, np.array(x))
    if not inputs.x.ndim or not len(inputs.x):
        raise GradientCheckError("x has no steps, wanted (T, …) with T at least 1")
    conventions = Conventions(sign, scale)

    def run(given: Inputs, *, last: bool = True) -> Findings:
        subject = _subject(forward_step, backward_step, given, truncation, seconds, seed, last=last)
        return inspect(subject, conventions, examples=examples, seed=seed, seconds=seconds, points=points)

    report = run(inputs)
    steps = len(inputs.x)
    notes = report.notes
    if steps < SHORT:
        notes += (f"T={steps} is too short: a wrong recursion shows from T={SHORT} on",)
    also: tuple[str, ...] = ()
    if report.verdict is Verdict.DISAGREE:
        one = inputs._replace(x=inputs.x[:1])
        also = (_carried(run(one), run(one, last=False)),)
    return GradientReport.of(replace(report, notes=notes), also=also, patience=patience(diagnosis), hint=hint)


def _subject(
    forward_step: Any,
    backward_step: Any,
    inputs: Inputs,
    truncation: int | None,
    seconds: float,
    seed: int,
    *,
    last: bool,
) -> Subject:
    """The unrolled cell; `last`: the loss weighs the last state too."""
    taken = tree(inputs, "")
    rng = np.random.default_rng(seed)
    functions = {"forward_step": forward_step, "backward_step": backward_step}
    first = call(forward_step, seconds, lambda: _three(forward_step(*_first(taken.rebuilt()))), name="forward_step")
    weights = [drawn(first[0], rng) for _ in inputs.x] + [drawn(first[1], rng) if last else zeros(first[1])]
    unrolled = Unrolled(inputs, truncation)
    call(forward_step, seconds, unrolled.remember, functions, taken.rebuilt(), name="forward_step")
    return Subject(
        params=taken,
        functions=functions,
        outputs=lambda functions, given, upstream: [unrolled.output(functions, given, upstream)],
        gradients=lambda functions, given, upstream: [unrolled.gradient(functions, given, upstream)],
        upstream=weights,
        subset=None,
        seconds=seconds,
        movable=truncation is None,
    )


def _first(inputs: Inputs) -> tuple[Any, Any, Any]:
    return inputs.params, inputs.x[0], inputs.state


def _three(found: Any) -> tuple[Any, Any, Any]:
    if not isinstance(found, (tuple, list)) or len(found) != 3:
        raise GradientCheckError("forward_step must return (output, next state, cache)")
    return found[0], found[1], found[2]


def _stacked(parts: list[Any]) -> Any:
    return np.stack(parts)


def _sum(a: Any, b: Any) -> Any:
    others = dict(walked(b, ""))
    return mapped(lambda path, leaf: leaf + others[path] if path in others else leaf, a, "")


def _carried(whole: Findings, alone: Findings) -> str:
    """What one step says of the carry: with a gradient that comes from the step after, and without."""
    wrong, own = (
        {path for path, leaf in report.leaves.items() if leaf.verdict is Verdict.DISAGREE} for report in (whole, alone)
    )
    if own and all(path.startswith("state") for path in own):
        return "in a single step only the gradient by the state is wrong: points to the carry"
    if own:
        return "wrong in a single step that no gradient reaches from the next: points to the step's own equations"
    if wrong:
        return "right in a single step that no gradient reaches from the next: points to the carry, as it is taken in"
    return "right in a single step: points to what the step leaves in its state, its cache or its arguments"
