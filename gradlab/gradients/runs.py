"""The functions under test on balls and on running error bounds; what cannot run there is refused with a reason."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.arithmetic import Ball, Rounded, Undecidable, precision, rounding, variables
from gradlab.arithmetic.scalar import Scalar, elementwise
from gradlab.gradients.called import GradientCheckError, origin
from gradlab.gradients.loose import loose
from gradlab.gradients.rehosted import Rehost
from gradlab.gradients.subject import Functions, Subject, scalar
from gradlab.gradients.worlds import World

Array = np.ndarray[Any, Any]

# So near that only a kink at the very point lies between.
NUDGE = 2.0**-200

OWN = str(Path(__file__).parents[1])


class Refused(Exception):
    """An oracle that does not apply: why, in a line. `tie`: because of a comparison that nothing decides."""

    def __init__(self, why: str, *, tie: bool = False) -> None:
        super().__init__(why)
        self.tie = tie


class Arithmetic:
    """Balls of so many bits, or rounding in a dtype; `blurred`: constants are known to an ulp only."""

    def __init__(self, bits: int | None, dtype: Any = np.float64, *, blurred: bool = False) -> None:
        self.bits, self.dtype, self.blurred = bits, np.dtype(dtype), blurred
        self.base: Any = Rounded if bits is None else Ball

    @contextmanager
    def entered(self) -> Iterator[None]:
        with rounding(self.dtype) if self.bits is None else precision(self.bits):
            yield

    def scalars(self, data: Any) -> Callable[[Any], Any]:
        return loose(self.base, self._blurred(), data) if self.blurred else self.base

    def plain(self, array: Any) -> Array:
        """Balls or bounds, from an array of scalars and exact numbers."""
        return elementwise(lambda x: getattr(x, "inner", x) if isinstance(x, Scalar) else self.base(x), array)

    def _blurred(self) -> Callable[[float], Any]:
        if self.bits is None:
            return lambda number: Rounded(number) * 1  # a product rounds
        with precision(50):
            one = Ball(1) / 3 * 3  # 1 ± some 2⁻⁵⁰
        return lambda number: Ball(number) * one


def outputs(
    subject: Subject, arithmetic: Arithmetic, *, taped: bool, at: Array | None = None, nudge: Array | None = None
) -> tuple[list[Any], dict[str, Array]]:
    """The K outputs, and the leaves they were computed from, as Variables where `taped`.

    Args:
        at: another point, (N,). nudge: added to the point in this arithmetic, times NUDGE, (N,).
    """
    point = subject.point if at is None else at
    places = subject.places()

    def work(functions: Functions, lift: Any) -> tuple[list[Any], dict[str, Array]]:
        flat = elementwise(lift, point)
        if nudge is not None:
            flat = flat + elementwise(lift, nudge) * lift(NUDGE)
        leaves = {path: flat[places[path]].reshape(leaf.shape) for path, leaf in subject.wide.leaves.items()}
        leaves = {path: variables(leaf) for path, leaf in leaves.items()} if taped else leaves
        found = subject.outputs(functions, subject.params.rebuilt({p: leaf.copy() for p, leaf in leaves.items()}))
        return [scalar(value, subject.loss_name) for value in found], leaves

    return _run(subject, arithmetic, work, subject.loss_name)


def gradients(subject: Subject, arithmetic: Arithmetic) -> dict[str, Array]:
    """The gradients under test by path, each (K, …) of scalars."""

    def work(functions: Functions, lift: Any) -> Sequence[Any]:
        leaves = {path: elementwise(lift, leaf) for path, leaf in subject.wide.leaves.items()}
        return subject.gradients(functions, subject.params.rebuilt(leaves))

    found = subject.matched(_run(subject, arithmetic, work, subject.gradient_name))
    return {path: arithmetic.plain(leaf) for path, leaf in found.items()}


def _run(subject: Subject, arithmetic: Arithmetic, work: Callable[..., Any], name: str) -> Any:
    """work(functions, lift) with the functions rehosted; once more with all float arrays as buffers if need be."""
    held = {np.dtype(np.float64), *(leaf.dtype for leaf in subject.params.leaves.values())}
    failures: list[Exception] = []

    def once(buffers: bool) -> Any:
        data: set[float] = set()
        lift = arithmetic.scalars(data)
        rehost = Rehost(World(lift, tuple(held), buffers=buffers))
        rehost.data = data
        functions = {key: rehost(function) for key, function in subject.functions.items()}
        # A parameter is exact: it is no constant that was rounded on its way.
        exactly = (lambda x: lift(arithmetic.base(x))) if arithmetic.blurred else lift
        try:
            return work(functions, exactly)
        except Exception as error:  # noqa: BLE001  (whatever somebody's code raises is a reason to refuse)
            failures.append(error)
            return None

    with arithmetic.entered():
        for buffers in (False, True):
            try:
                found = subject.call(once, buffers, name=name)
            except GradientCheckError as error:
                raise Refused(f"{error} in this arithmetic") from None
            if len(failures) <= buffers:
                return found
            if isinstance(failures[-1], (Undecidable, GradientCheckError)):
                break
    raise refusal(subject.functions[name], failures[0] if len(failures) == 1 else failures[-1], name)


def refusal(function: Any, error: Exception, name: str) -> Refused:
    """Why an arithmetic does not apply, with the user's file and line."""
    text = " ".join(str(error).split())
    if isinstance(error, GradientCheckError):
        return Refused(text)
    frames = traceback.extract_tb(error.__traceback__)
    users = [f for f in frames if not f.filename.startswith(OWN) and "site-packages" not in f.filename]
    where = f"{Path(users[-1].filename).name}:{users[-1].lineno}" if users else origin(function)
    if isinstance(error, Undecidable):
        return Refused(f"{where}: a comparison in {name} is a tie at this point", tie=True)
    if "is no float" in text:
        text = "a value is cast to float"
    return Refused(f"{where}: {name} does not run in this arithmetic: {type(error).__name__}: {text[:120]}")
