"""Which wrong gradients do the checkers let pass? Every small change of the hand-written backward, at five scales."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from measure import Result, Table

try:
    from gradlab.mistakes.mutants import mutants
    from gradlab.mistakes.peers import Peers
    from gradlab.mistakes.probes import DISTINCT
    from gradlab.mistakes.probes import drawn as problem_of
    from gradlab.mistakes.score import SCALES, Ground
except ImportError as error:
    print(f"detection: gradlab.mistakes is not there yet or has changed ({error}): skipped")
    raise SystemExit(0) from None

import checkers
import numpy as np
from checkers import Case

from gradlab.arithmetic.balls import precision
from gradlab.cells import CELLS, cell
from gradlab.oracles import oracle

LEAST = 1e-3  # of the largest entry: a smaller change than that is not counted as a wrong gradient

REAL: dict[str, Any] = {
    "torch gradcheck": checkers.torch_gradcheck,
    "torch gradcheck, fast mode": lambda case: checkers.torch_gradcheck(case, fast=True),
    "jax check_grads, float32": checkers.jax_check_grads,
    "jax check_grads, float64": checkers.jax_check_grads,
    "scipy check_grad": checkers.scipy_check_grad,
    "autograd check_grads": checkers.autograd_check_grads,
}
RULES = {
    "torch gradcheck": "torch",
    "jax check_grads, float32": "jax32",
    "jax check_grads, float64": "jax64",
    "scipy check_grad": "scipy",
    "autograd check_grads": "autograd",
}
SECONDS = {"rnn": 100.0, "lstm": 25.0, "gru": 25.0}


def spread(everything: list[Any], count: int) -> list[Any]:
    """At even distances, `count` of them."""
    step = max(1.0, len(everything) / max(count, 1))
    return [everything[int(i * step)] for i in range(min(count, len(everything)))]


def verdicts(ground: Any, code: Any) -> dict[str, bool]:
    """Which of the real checkers let the gradient pass; code that raises passes none."""
    found = {}
    for name, checker in REAL.items():
        problem = ground.problem.astype(np.float32) if "float32" in name else ground.problem
        try:
            with np.errstate(all="ignore"):
                found[name] = checker(Case(ground.cell, problem, code))()
        except Exception:  # noqa: BLE001  a mutant may raise anything, and the checkers wrap it in their own
            found[name] = False
    return found


def differs(ground: Any, code: Any, truth: list[Any]) -> bool:
    """Whether some gradient that the code gives is off by more than LEAST of its largest entry, by automatic
    differentiation of the JAX twin; code that does not run gives none.
    """
    with precision(128):
        if ground.outcome(code).refused:
            return False
    case = Case(ground.cell, ground.problem, code)
    with np.errstate(all="ignore"):
        pairs = zip(case.gradient(*case.arrays), truth, strict=True)
        return any(not np.abs(found - true).max() <= LEAST * np.abs(true).max() for found, true in pairs)


def caught(ground: Any, code: Any) -> bool:
    """Whether gradlab's certified oracle proves it wrong."""
    with precision(128):
        return bool(ground.wrong(ground.outcome(code)))


def row_at(result: Result, name: str, scale: float, seconds: float) -> dict[str, Any]:
    """One cell at one weight scale."""
    tested = cell(name)
    ground = Ground(tested, problem_of(tested, DISTINCT, scale, 0))
    rules = Peers(tested, ground.problem)
    chosen = [mutant for mutant in mutants(tested) if mutant.function == "gradient"]
    if name != "rnn" or result.quick:
        chosen = spread(chosen, 12 if result.quick else 150)
    alone = {peer for peer, passed in verdicts(ground, tested.code).items() if not passed}
    evidence = oracle("autodiff").evidence(tested, ground.problem).values
    truth = [evidence[f"grad_{by}"] for by in Case(tested, ground.problem).names]
    passed, agreed, wrong, tried = Counter[str](), 0, 0, 0
    deadline = time.perf_counter() + seconds
    for mutant in chosen:
        if time.perf_counter() > deadline:
            break
        tried += 1
        if not differs(ground, mutant.code, truth):
            continue
        wrong += 1
        found, expected = verdicts(ground, mutant.code), rules.accepts(mutant.code)
        passed["gradlab"] += not caught(ground, mutant.code)
        passed.update(peer for peer, accepted in found.items() if accepted)
        agreed += sum(found[peer] == expected[rule] for peer, rule in RULES.items())
    return {
        "tried": tried,
        "of": len(chosen),
        "wrong": wrong,
        "accepted": {peer: passed[peer] for peer in ("gradlab", *REAL)},
        "rejecting": sorted(alone),
        "rules_agree": [agreed, wrong * len(RULES)],
    }


def main() -> None:
    """Measure, judge, draw, keep."""
    result = Result(__doc__.strip())
    names = ("rnn",) if result.quick else tuple(name for name in SECONDS if name in CELLS)
    scales = SCALES[:2] if result.quick else SCALES
    same = [0, 0]
    for name in names:
        table = Table(
            f"Wrong {name} gradients that pass: how many, of how many",
            ["weights of order", "wrong gradients", "gradlab", *REAL],
        )
        for scale in scales:
            found = result.data[f"{name} {scale:g}"] = row_at(result, name, scale, SECONDS[name] / len(scales))
            cut = "" if found["tried"] == found["of"] else f" (the first {found['tried']} of {found['of']} mutants)"
            marks = {p: "*" if p in found["rejecting"] else "" for p in REAL}
            counts = [f"{found['accepted'][peer]}{marks[peer]}" for peer in REAL]
            table.rows.append([f"{scale:g}", f"{found['wrong']}{cut}", str(found["accepted"]["gradlab"]), *counts])
            same = [a + b for a, b in zip(same, found["rules_agree"], strict=True)]
            print(f"{name} at {scale:g}: {found}", flush=True)
        table.note = (
            "A wrong gradient: one small change of the backward pass's source, which moves some gradient by more than "
            f"{LEAST:g} of its largest entry from jax.grad of the twin. gradlab: its certified oracle. * this checker "
            "does not let the right gradient pass either, so what it lets pass says nothing. Checkers at their "
            "defaults; those that look along a random direction drew one."
        )
        result.table(table)
    result.data["rules_agree"] = same
    result.target(
        "detection.rules",
        "the peers' rules in gradlab.mistakes.peers say what the real peers say",
        f"{same[0]} of {same[1]} verdicts ({100 * same[0] / max(same[1], 1):.1f} %)",
        same[1] > 0 and same[0] >= 0.98 * same[1],
    )
    rows = [found for key, found in result.data.items() if key != "rules_agree"]
    total, passing = sum(row["wrong"] for row in rows), sum(row["accepted"]["gradlab"] for row in rows)
    figure = f"{passing} of {total:,} pass"
    result.target("detection.gradlab", "no wrong gradient passes gradlab", figure, total > 0 and not passing)
    result.close()


if __name__ == "__main__":
    main()
