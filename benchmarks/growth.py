"""How do time and memory grow: of bptt with T, B, H, of the certified oracle with bits and size, of rtrl, of verify?"""

from __future__ import annotations

import gc
import importlib.util
import math
import time
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from measure import Result, Table, duration, exponent, interleaved, memory, number

from gradlab import cells
from gradlab.addition import data
from gradlab.manual import checkpointed as stretches
from gradlab.oracles import certified
from gradlab.problem import axes

BASE = {"T": 32, "B": 8, "I": 2, "H": 64, "O": 1}
LONG = {"T": 1, "B": 1, "I": 2, "H": 16, "O": 1}
STEPS = (100, 1_000, 10_000, 100_000)
SHORT = (100, 400, 1_600)
BATCHES = (1, 4, 16, 64, 256, 1024)
UNITS = (16, 32, 64, 128, 256, 512)
BITS = (64, 128, 256, 512, 1024, 2048, 4096)
SMALL = (4, 8, 16, 32, 64)
ONLINE_STEPS = (10, 100, 1_000)
COPIES = (1, 2, 4, 8)


def given(cell_name: str, sizes: dict[str, int]) -> tuple[Any, Any, Any, Any]:
    """Random params, x, y and state of those sizes."""
    tested, rng = cells.cell(cell_name), np.random.default_rng(0)

    def drawn(record: Any) -> Any:
        return record(
            **{n: 0.3 * rng.standard_normal([sizes[letter] for letter in form]) for n, form in axes(record).items()}
        )

    params, state = drawn(tested.module.Params), drawn(tested.module.State)
    x, y = (rng.random([sizes[letter] for letter in form]) for form in ("TBI", "TBO"))
    return params, x, y, state


def passes(cell_name: str, sizes: dict[str, int]) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Forward, and the gradient of what it gave."""
    tested, (params, x, y, state) = cells.cell(cell_name), given(cell_name, sizes)
    trace = tested.code.forward(params, x, state)
    return lambda: tested.code.forward(params, x, state), lambda: tested.code.gradient(params, x, y, state, trace)


def peak(run: Callable[[], Any]) -> int:
    """Bytes that a call holds at its most, beyond those before it."""
    gc.collect()
    tracemalloc.start()
    try:
        kept = run()
        size = tracemalloc.get_traced_memory()[1]
        del kept
        return size
    finally:
        tracemalloc.stop()


def timed(runs: dict[Any, Callable[[], Any]], quick: bool, seconds: float = 6.0) -> dict[Any, float]:
    """The median seconds of each, in turns."""
    times = interleaved(
        {str(key): run for key, run in runs.items()},
        seconds=0.2 if quick else seconds,
        rounds=9,
        least=1 if quick else 2,
    )
    return {key: times.seconds(str(key)).median for key in runs}


def of_bptt(result: Result) -> dict[str, dict[str, float]]:
    """Seconds and bytes of bptt alone by T, B and H; {letter: {time, memory exponents}}."""
    table = Table("bptt alone, float64", ["varied", "from", "to", "time ~", "memory ~"])
    found: dict[str, dict[str, float]] = {}
    for letter, values, base in (("T", STEPS, LONG), ("B", BATCHES, BASE), ("H", UNITS, BASE)):
        for cell_name in ("rnn", "lstm", "gru"):
            if cell_name not in cells.CELLS:
                continue
            chosen = values[:3] if result.quick else values
            runs = {n: passes(cell_name, base | {letter: n})[1] for n in chosen}
            seconds = timed(runs, result.quick)
            size = {n: peak(run) for n, run in runs.items()}
            powers = {
                "time": exponent(chosen, list(seconds.values())),
                "memory": exponent(chosen, list(size.values())),
            }
            if letter == "T":
                long = [n for n in chosen if n >= 1000]
                powers["time, T ≥ 1,000"] = exponent(long, [seconds[n] for n in long]) if len(long) > 1 else math.nan
                powers["each step"] = (seconds[chosen[-1]] - seconds[chosen[0]]) / (chosen[-1] - chosen[0])
            found[f"{cell_name} {letter}"] = powers
            ends = [f"{letter} = {n:,}: {duration(seconds[n])}, {memory(size[n])}" for n in (chosen[0], chosen[-1])]
            fixed = ", ".join(f"{k} = {v}" for k, v in base.items() if k != letter)
            table.rows.append(
                [f"{cell_name}, {letter} ({fixed})", *ends, *(f"{letter}^{powers[p]:.2f}" for p in ("time", "memory"))]
            )
            result.data[f"bptt {cell_name} {letter}"] = {
                "sizes": chosen,
                "seconds": list(seconds.values()),
                "bytes": list(size.values()),
                **powers,
            }
    table.note = "Memory: the most that bptt itself holds at once, its results included (tracemalloc)."
    result.table(table)
    return found


def of_certified(result: Result) -> None:
    """Seconds and bytes of the certified oracle, by bits and by weights."""
    tested = cells.cell("rnn")
    table = Table("The certified oracle", ["varied", "from", "to", "time ~", "memory ~"])
    bits = BITS[:3] if result.quick else BITS
    hidden = SMALL[:3] if result.quick else SMALL
    problem = data.problem(np.random.default_rng(0), 8, 16, "rnn")
    by_bits = {b: (lambda b=b: certified.evidence(tested, problem, b)) for b in bits}
    each = {h: data.problem(np.random.default_rng(0), 8, h, "rnn") for h in hidden}
    by_size = {3 * h + h * h: (lambda p=p: certified.evidence(tested, p, 128)) for h, p in each.items()}
    for what, runs in (("bits", by_bits), ("weights", by_size)):
        seconds = timed(runs, result.quick, 15.0)
        sizes = {n: peak(run) for n, run in runs.items()}
        known = list(runs)
        tail = known[-3:]
        powers = [exponent(tail, [values[n] for n in tail]) for values in (seconds, sizes)]
        ends = [f"{n:,} {what}: {duration(seconds[n])}, {memory(sizes[n])}" for n in (known[0], known[-1])]
        fixed = "304 weights" if what == "bits" else "128 bits"
        table.rows.append([f"{what} (T = 8, {fixed})", *ends, *(f"{what}^{power:.2f}" for power in powers)])
        result.data[f"certified {what}"] = {
            "sizes": known,
            "seconds": list(seconds.values()),
            "bytes": list(sizes.values()),
        }
    table.note = (
        "Exponents over the last three sizes. Memory is Python's own: Arb's digits beyond 128 bits are not in it."
    )
    result.table(table)


def of_rtrl(result: Result) -> None:
    """Bytes of real-time recurrent learning, step by step and with every step kept."""
    if "rtrl" not in cells.CELLS:
        result.target("growth.rtrl", "rtrl's memory is flat in T", "no rtrl in this version", None)
        return
    module, rng, H = cells.cell("rtrl").module, np.random.default_rng(0), 16
    params = data.random_params("rtrl", data.network_sizes(H), rng)
    state = module.State(np.zeros((1, H)))
    steps = ONLINE_STEPS[:2] if result.quick else ONLINE_STEPS

    def online(T: int) -> None:
        def fed() -> Iterable[tuple[Any, Any]]:
            for _ in range(T):
                yield rng.random((1, 2)), rng.random((1, 1))

        for _ in module.online(params, fed(), state):
            pass

    sizes = {T: peak(lambda T=T: online(T)) for T in steps}
    whole = {T: peak(passes("rtrl", LONG | {"T": T})[1]) for T in steps[:2]}
    seconds = timed({T: (lambda T=T: online(T)) for T in steps}, result.quick)
    table = Table("rtrl, H = 16, B = 1", ["T", "online, memory", "online, a step", "all steps kept, memory"])
    for T in steps:
        kept = memory(whole[T]) if T in whole else "–"
        table.rows.append([f"{T:,}", memory(sizes[T]), duration(seconds[T] / T), kept])
    result.table(table)
    result.data["rtrl"] = {"steps": steps, "bytes": list(sizes.values()), "kept": list(whole.values())}
    ratio = sizes[steps[-1]] / sizes[steps[0]]
    result.target(
        "growth.rtrl",
        "rtrl's memory is flat in T",
        f"{number(ratio)} × from T = {steps[0]} to {steps[-1]:,}",
        ratio < 1.1,
    )


def of_verify(result: Result) -> None:
    """Seconds of verify on longer and longer documents."""
    if importlib.util.find_spec("gradlab.verifier") is None:
        result.target("growth.verify", "verify against document length", "no verifier in this version", None)
        return
    from gradlab.verifier.verify import verify_text

    copies = COPIES[:2] if result.quick else COPIES
    runs = {}
    try:
        for n in copies:
            text, count = document(n)
            runs[count] = lambda text=text: verify_text(text)
            found = verify_text(text)
            if not all(finding.ok for finding in found.findings):
                raise SystemExit(f"growth: verify does not accept a true derivation: {found.counts}")
        seconds = timed(runs, result.quick, 20.0)
    except (AttributeError, TypeError, ImportError) as error:
        result.target("growth.verify", "verify against document length", f"the verifier has changed: {error}", None)
        return
    power = exponent(list(runs), list(seconds.values()))
    table = Table("verify", ["equations", "time", "each"])
    table.rows = [[f"{n}", duration(s), duration(s / n)] for n, s in seconds.items()]
    table.note = f"A document of independent recursions, each defined and then differentiated: equations^{power:.2f}."
    result.table(table)
    result.data["verify"] = {"equations": list(runs), "seconds": list(seconds.values()), "exponent": power}


def document(copies: int) -> tuple[str, int]:
    """A derivation in Markdown, and how many equations it has: `copies` networks of one weight each, side by side."""
    names = [f"w{chr(97 + i)}" for i in range(copies)]
    front = "---\nsizes: {I: 2, H: 3}\nsteps: 4\nsymbols:\n  x(t): 1 x I\n"
    for n in names:
        front += f"  W_{{{n}}}: I x H\n"
    parts = [front + "---\n# Growth\n"]
    for n in names:
        W, net, a, l, L = f"W_{{{n}}}", f"net_{{{n}}}(t)", f"a_{{{n}}}(t)", f"l_{{{n}}}(t)", f"L_{{{n}}}"
        parts += [
            f"$$ {net} := x(t) {W} $$",
            f"$$ {a} := \\sigma({net}) $$",
            f"$$ {l} := \\frac{{1}}{{2}} {a} {a}^T $$",
            f"$$ {L} := \\sum_t {l} $$",
            f"$$ \\frac{{\\partial {L}}}{{\\partial {net}}} = {a} \\odot {a} \\odot (1 - {a}) $$",
            f"$$ \\frac{{\\partial {L}}}{{\\partial {W}}} = \\sum_t x(t)^T ({a} \\odot {a} \\odot (1 - {a})) $$",
        ]
    return "\n\n".join(parts) + "\n", 6 * copies


def targets(result: Result, found: dict[str, dict[str, float]]) -> None:
    """The targets for bptt's growth."""
    for cell_name in ("rnn", "lstm", "gru"):
        powers = found.get(f"{cell_name} T")
        if powers is None:
            continue
        power = powers["time, T ≥ 1,000"]
        figure = f"time ~ T^{power:.2f} from T = 1,000 on, memory ~ T^{powers['memory']:.2f}"
        result.target(f"growth.{cell_name}.linear", "bptt linear in T", figure, None if power != power else power < 1.1)
        figure = f"{duration(powers['each step'])} a step"
        wanted = "overhead per step of bptt under 10 µs at H = 16"
        result.target(f"growth.{cell_name}.step", wanted, figure, powers["each step"] < 10e-6)


def checkpointed(result: Result) -> None:
    """Bytes and seconds of the gradient in stretches of √T steps, beside the gradient in one piece."""
    table = Table(
        "The gradient in stretches of √T steps (H = 16, B = 1)",
        ["cell", "T", "one piece, memory", "stretches, memory", "time over one piece", "a forward more would be"],
    )
    steps = SHORT if result.quick else STEPS
    worst, powers = 0.0, []
    for name in ("rnn", "lstm", "gru"):
        held = []
        for T in steps:
            module, (params, x, y, state) = cells.cell(name).module, given(name, LONG | {"T": T})

            def pieces(module: Any = module, given: Any = (params, x, y, state)) -> Any:
                return stretches.gradient(module, *given)

            def whole(module: Any = module, given: Any = (params, x, y, state)) -> Any:
                params, x, y, state = given
                return module.bptt(params, x, y, state, module.forward(params, x, state))

            def ahead(module: Any = module, given: Any = (params, x, y, state)) -> Any:
                return module.forward(given[0], given[1], given[3])

            times = interleaved(
                {"pieces": pieces, "whole": whole, "ahead": ahead}, seconds=0.2 if result.quick else 2.5, rounds=9
            )
            ratio, share = times.ratio("pieces", "whole"), times.ratio("ahead", "whole")
            held.append(peak(pieces) - 2 * x.nbytes)
            cells_shown = [memory(peak(whole)), memory(held[-1]), str(ratio), f"{1 + share.median:.2f}"]
            table.rows.append([name, f"{T:,}", *cells_shown])
        worst = max(worst, ratio.median / (1 + share.median))  # of the longest: that is what the mode is for
        powers.append(exponent(steps, held))
    table.note = "Memory beyond the gradient by x, which has the size of x whatever the mode."
    result.table(table)
    wanted = "checkpointed mode: memory ~ √T, at most one extra forward"
    figure = f"memory ~ T^{max(powers):.2f}; at T = {steps[-1]:,} {number(worst)} × the time of one forward more"
    result.target("growth.checkpointed", wanted, figure, max(powers) < 0.6 and worst < 1.1)


def main() -> None:
    """Measure, judge, draw, keep."""
    result = Result(__doc__.strip())
    start = time.perf_counter()
    found = of_bptt(result)
    of_certified(result)
    of_rtrl(result)
    of_verify(result)
    targets(result, found)
    checkpointed(result)
    result.data["seconds of measuring"] = time.perf_counter() - start
    result.close()


if __name__ == "__main__":
    main()
