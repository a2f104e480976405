"""Is this gradient right? For any NumPy loss, any gradient, any tree of parameters."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any

from gradlab.checker.verdict import Verdict
from gradlab.gradients.called import (
    GradientCheckError,
    UntoldEntries,
    WrongGradient,
    in_one_line,
    needs_callable,
    takes,
)
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.points import GIVEN, SEVERAL, inspect
from gradlab.gradients.report import GradientReport
from gradlab.gradients.subject import Subject
from gradlab.gradients.tree import selected, tree


@in_one_line
def check_gradient(
    loss: Callable[[Any], Any],
    grad: Callable[[Any], Any],
    params: Any,
    *,
    subset: str | int | Iterable[Any] | None = None,
    sign: int = 1,
    scale: float = 1,
    clip: Any = None,
    truncation: int | None = None,
    twin: Callable[[Any], Any] | None = None,
    seconds: float = 60,
    examples: int = 2000,
    seed: int = 0,
    points: str = SEVERAL,
    diagnosis: float = 10,
    hint: bool = False,
) -> GradientReport:
    """Hold a gradient against every derivative of the loss that can be had, at one point.

    Which oracles apply is found out: certified, if the loss runs on balls; else the complex step and finite differences
    by every coordinate. The user's functions, modules and objects are left as they are.

    Args:
        loss: loss(params) -> one number. grad: grad(params) -> the same tree, or some of its leaves.
        params: an array, a number, or a tuple, list, dict or NamedTuple of such, nested at will.
        subset: the leaves to check, by key, field, index or path ("params['W']"); None for all that grad returns.
        sign, scale, clip: what grad does by intent: it returns clip(sign · scale · ∂loss). clip is a limit for each
            entry, or ("norm", c) for the length of the whole.
        truncation: refused; see `check_step`, where the lab owns the loop.
        twin: the same loss in jax.numpy.
        seconds: the time limit of the whole check. What does not fit is left undecided, and said.
        examples: how many coordinates are probed, at most, where each costs calls of the loss.
        seed: of what is drawn at random.
        points: "several": also at two points beside the one given, and at smaller parameters; "given": there alone.
        diagnosis: the seconds that finding and naming a mistake may take, once the report is read; 0 for none.
        hint: say where the mistake is and what it is, and keep the repair back.

    Raises:
        GradientCheckError: what is wrong with the arguments or the functions, in one line.
    """
    needs_callable(loss=loss, grad=grad, **({} if twin is None else {"twin": twin}))
    takes("loss", loss, "params")
    takes("grad", grad, "params")
    if truncation is not None:
        raise GradientCheckError(
            "truncation cuts the loop over time, which check_gradient does not see: use check_step"
        )
    limits(seconds, examples, seed, points)
    taken = tree(params)
    subject = Subject(
        params=taken,
        functions={"loss": loss, "grad": grad},
        outputs=lambda functions, given, upstream: [functions["loss"](given)],
        gradients=lambda functions, given, upstream: [functions["grad"](given)],
        subset=chosen(subset),
        seconds=seconds,
        twin=None if twin is None else lambda given: twin(given),
    )
    selected(taken, subject.subset)
    found = inspect(
        subject, Conventions(sign, scale, clip), examples=examples, seed=seed, seconds=seconds, points=points
    )
    return GradientReport.of(found, patience=patience(diagnosis), hint=hint)


def assert_gradient(
    loss: Callable[[Any], Any], grad: Callable[[Any], Any], params: Any, *, strict: bool = False, **options: Any
) -> GradientReport:
    """`check_gradient`, for tests.

    Args:
        strict: every single entry has to be told. Without it, entries that cannot be told beside others that agree
            raise a warning, UntoldEntries, where a mistake as large as they are could hide in them.

    Raises:
        WrongGradient: an AssertionError: the verdict is not "agree"; the message is the report.
        GradientCheckError: as `check_gradient`.
    """
    return asserted(check_gradient(loss, grad, params, **options), strict=strict)


def asserted(report: GradientReport, *, strict: bool = False) -> GradientReport:
    """The report, if its verdict is "agree".

    Raises:
        WrongGradient: it is not; or, where `strict`, some entry cannot be told.
    """
    if report.verdict is not Verdict.AGREE:
        raise WrongGradient("the gradient is not shown to be right", report)
    if strict and report.untold:
        raise WrongGradient(f"strict: {report.untold} of {report.size} entries cannot be told", report)
    if any(leaf.hides for leaf in report.leaves.values()):
        said = f"{report.untold} of {report.size} entries cannot be told, and a mistake could hide in them"
        warnings.warn(f"{said}: print the report, or choose another point", UntoldEntries, stacklevel=3)
    return report


def chosen(subset: Any) -> tuple[Any, ...] | None:
    """A subset as a tuple of keys."""
    if subset is None:
        return None
    keys = (subset,) if isinstance(subset, (str, int)) else tuple(subset)
    if not keys:
        raise GradientCheckError("subset is empty: there is nothing to check")
    return keys


def limits(seconds: Any, examples: Any, seed: Any, points: Any = SEVERAL) -> None:
    """Raises GradientCheckError for a limit that cannot be kept."""
    if points not in (GIVEN, SEVERAL):
        raise GradientCheckError(f"points={points!r}, wanted 'given' or 'several'")
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds > 0:
        raise GradientCheckError(f"seconds={seconds!r}, wanted a number above 0")
    for name, number, least in (("examples", examples, 1), ("seed", seed, 0)):
        if isinstance(number, bool) or not isinstance(number, int) or number < least:
            raise GradientCheckError(f"{name}={number!r}, wanted an integer, at least {least}")


def patience(seconds: Any) -> float:
    """The seconds that a diagnosis may take.

    Raises:
        GradientCheckError: they are no number, or below 0.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not seconds >= 0:
        raise GradientCheckError(f"diagnosis={seconds!r}, wanted a number of seconds, at least 0")
    return float(seconds)
