"""How long does it take to check every coordinate of a gradient, and how does that grow with their number?"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import checkers
import numpy as np
from checkers import Case
from measure import Result, Table, duration, exponent, interleaved, number

from gradlab import oracles
from gradlab.addition import data
from gradlab.cells import cell
from gradlab.checker.check import compare
from gradlab.oracles._nudging import nudged_losses
from gradlab.problem import Problem

HIDDEN = (16, 32, 99)  # 304, 1,120 and 10,098 weights of a network with two inputs and one output
FACTORS = {304: 50, 1_120: None, 10_098: 20}
LIMIT = 20.0  # seconds; what one call is expected to exceed is left out

TORCH, FULL = "torch gradcheck", "gradlab compare, four oracles"
PEERS: dict[str, Callable[[Case], Callable[[], bool]]] = {
    TORCH: checkers.torch_gradcheck,
    "torch gradcheck, loss in torch ‡": checkers.torch_gradcheck_native,
    "torch gradcheck, fast mode †": lambda case: checkers.torch_gradcheck(case, fast=True),
    "jax check_grads †": checkers.jax_check_grads,
    "scipy check_grad": checkers.scipy_check_grad,
    "autograd check_grads †": checkers.autograd_check_grads,
    "numdifftools Gradient": checkers.numdifftools_gradient,
}


def fresh(problem: Problem) -> Problem:
    """The same problem, of which nothing is remembered."""
    return problem.astype(np.float64)


def swept(problem: Problem, nudges: list[Any]) -> None:
    """Every weight's coordinates in batched forwards; no bounds and no deltas."""
    inputs = problem.inputs()
    shapes = {name: array.shape for name, array in inputs.params._asdict().items()}
    nudged_losses(cell("rnn"), inputs, shapes, dict.fromkeys(shapes, nudges))


def own(problem: Problem) -> dict[str, Callable[[], Any]]:
    """gradlab's ways. An oracle answers for every gradient *and* delta, at every step, with its bounds."""
    tested = cell("rnn")

    def evidence(name: str) -> Callable[[], Any]:
        oracle = oracles.oracle(name)
        return lambda: oracle.evidence(tested, fresh(problem), oracle.PRECISIONS[0])

    def whole() -> None:
        comparison = compare("rnn", fresh(problem))
        if comparison.verdict != "agree":
            raise SystemExit(f"compare says {comparison.verdict} of the shipped gradient")

    six = [sign * 2.0**-6 / part for part in (1, 2, 4) for sign in (1, -1)]
    return {
        FULL: whole,
        "gradlab finite_difference": evidence("finite_difference"),
        "gradlab complex_step": evidence("complex_step"),
        "gradlab certified, 128 bits": evidence("certified"),
        "gradlab autodiff": evidence("autodiff"),
        "gradlab, finite differences of the weights only": lambda: swept(problem, six),
        "gradlab, complex steps of the weights only": lambda: swept(problem, [2.0**-60 * 1j]),
    }


def main() -> None:
    """Measure, judge, draw, keep."""
    result = Result(__doc__.strip())
    hidden = HIDDEN[:1] if result.quick else HIDDEN
    seconds: dict[str, list[float]] = {name: [] for name in (*PEERS, *own(data.problem(np.random.default_rng(0))))}
    rows = {name: [name] for name in seconds}
    counts: list[int] = []
    torch_over: dict[int, dict[str, Any]] = {}
    for h in hidden:
        problem = data.problem(np.random.default_rng(0), 8, h, "rnn")
        case = Case(cell("rnn"), problem, names=problem.params._fields)
        counts.append(case.vector.size)
        candidates = {name: peer(case) for name, peer in PEERS.items()} | own(problem)
        running = {}
        for name, run in candidates.items():
            if expected(seconds[name], counts) > LIMIT:
                continue
            start = time.perf_counter()
            run()
            if time.perf_counter() - start <= LIMIT:
                running[name] = run
        times = interleaved(running, seconds=0.5 if result.quick else 20.0 if h < 90 else 45.0, rounds=15)
        torch_over[counts[-1]] = {}
        for name in candidates:
            if name not in running:
                seconds[name].append(math.nan)
                rows[name] += [f"over {LIMIT:.0f} s", "–"]
                continue
            taken = times.seconds(name)
            seconds[name].append(taken.median)
            over = times.ratio(TORCH, name) if TORCH in times else None
            torch_over[counts[-1]][name] = over
            rows[name] += [duration(taken.median), str(over)]
            print(f"{counts[-1]:,} {name}: {duration(taken.median)}, torch gradcheck takes {over} ×", flush=True)
        result.data[str(counts[-1])] = times.to_json()
    columns = ["checker"] + [text for n in counts for text in (f"{n:,} weights", "torch gradcheck over it")]
    table = Table("Time of one check, and how many times as long torch gradcheck takes", [*columns, "grows as"])
    for name, row in rows.items():
        known = [(n, s) for n, s in zip(counts, seconds[name], strict=True) if s == s]
        power = exponent(*zip(*known, strict=True)) if len(known) > 1 else math.nan
        result.data.setdefault("exponents", {})[name] = power
        table.rows.append([*row, f"n^{number(power)}" if power == power else "–"])
    table.note = (
        "An RNN with two inputs and one output over 8 steps, float64. Every checker runs on the same hand-written "
        "NumPy code, but ‡: the same loss as an eager loop of PyTorch, and PyTorch's own gradient of it. † looks along "
        "one random direction, not at every coordinate. The peers check the gradient by the weights. gradlab's oracles "
        "also answer for the gradients by x and the state, every delta and every intermediate, at every step, with a "
        "derived bound on each entry; the last two lines are their sweep over the weights alone."
    )
    result.table(table)
    targets(result, torch_over, seconds)
    result.close()


def expected(seconds: list[float], counts: list[int]) -> float:
    """Of the next call, if it grows as the weights to the power of 1.2."""
    known = [(n, s) for n, s in zip(counts, seconds, strict=False) if s == s]
    return known[-1][1] * (counts[-1] / known[-1][0]) ** 1.2 if known else 0.0


def targets(result: Result, over: dict[int, dict[str, Any]], seconds: dict[str, list[float]]) -> None:
    """The targets for a check."""
    for i, (n, factor) in enumerate(FACTORS.items()):
        if factor is None or n not in over:
            continue
        wanted, ratio = f"full check ≥ {factor} × faster than torch gradcheck", over[n].get(FULL)
        if ratio is None:
            result.target(f"check.{n}", wanted, f"over {LIMIT:.0f} s", False)
            continue
        figure = f"{ratio} × at {n:,} weights, {duration(seconds[FULL][i])}"
        result.target(f"check.{n}", wanted, figure, ratio.median >= factor)
    alone, whole = "gradlab, finite differences of the weights only", "gradlab finite_difference"
    figure = f"{duration(seconds[alone][0])}; with deltas and derived bounds {duration(seconds[whole][0])}"
    wanted = "every-coordinate finite differences at (8, 1, 2, 16, 1) under 5 ms"
    result.target("check.finite_difference", wanted, figure, seconds[alone][0] < 5e-3)
    taken = seconds["gradlab certified, 128 bits"][0]
    wanted = "certified gradient of the same under 40 ms at 128 bits"
    result.target("check.certified", wanted, duration(taken), taken < 40e-3)


if __name__ == "__main__":
    main()
