"""How long does the hand-written gradient take beside the peers', and how far is it from this machine's floor?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import networks
import numpy as np
from floor import parts
from measure import Result, Spread, Table, Times, duration, interleaved, number
from networks import Network

from gradlab.cells import CELLS
from gradlab.memory import keep_freed_memory

SIZES = ((8, 1, 2, 16, 1), (8, 64, 2, 16, 1), (32, 64, 16, 64, 8), (128, 64, 64, 256, 16), (1024, 8, 16, 64, 4))
FLOOR_AT = (128, 64, 64, 256, 16)
CELLS_HERE = tuple(name for name in ("rnn", "lstm", "gru") if name in CELLS)
DTYPES = ("float64", "float32")
UNROLL = 8

JAX, JAX_UNROLLED, JAX_NUMPY = "jax", "jax unrolled", "jax, NumPy in"
JAX_ALL, LOOP, MODULE, HIPS = "jax, same outputs", "torch loop", "torch.nn", "autograd"
PEERS: dict[str, Callable[[Network], Callable[[], Any]]] = {
    JAX: networks.jax_weights,
    JAX_UNROLLED: lambda net: networks.jax_weights(net, unroll=UNROLL),
    JAX_NUMPY: lambda net: networks.jax_weights(net, numpy_in=True),
    JAX_ALL: networks.jax_everything,
    LOOP: networks.torch_loop,
    MODULE: networks.torch_module,
    HIPS: networks.hips,
}


def agree(net: Network, candidates: dict[str, Callable[[], Any]]) -> None:
    """Every candidate gives the same gradient by every weight; torch.nn.RNN, which has no sigmoid, is excused."""
    wanted = {name: np.asarray(grad) for name, grad in candidates["gradlab"]().items()}
    within = 1e-8 if net.x.dtype == np.float64 else 2e-3
    for peer, run in candidates.items():
        if peer == "gradlab" or (peer == MODULE and net.cell == "rnn"):
            continue
        found = networks.weights(net, run()) if peer != HIPS else run()
        for name, grad in wanted.items():
            apart = np.linalg.norm(found[name] - grad) / np.linalg.norm(grad)
            if not apart < within:
                raise SystemExit(f"{net.cell} {net.x.shape} {net.x.dtype}: {peer} gives another {name}, by {apart:.1e}")


def measured(net: Network, quick: bool) -> tuple[Times, Times, dict[str, float]]:
    """The times of all candidates, those of gradlab beside the parts of the floor, and what it is worth of each."""
    candidates = {"gradlab": networks.gradlab(net)} | {name: peer(net) for name, peer in PEERS.items()}
    agree(net, candidates)
    times = interleaved(candidates, seconds=0.1 if quick else 2.0, rounds=2 if quick else 15, least=2)
    alone, worth = parts(net, quick)
    beside = interleaved({"gradlab": candidates["gradlab"]} | alone, seconds=0.1 if quick else 0.8, rounds=15)
    return times, beside, worth


def floors(beside: Times, worth: dict[str, float]) -> list[float]:
    """The floor in seconds, round by round."""
    rounds = min(len(turns) for turns in beside.turns.values())
    return [sum(share * beside.turns[name][i] for name, share in worth.items()) for i in range(rounds)]


def main() -> None:
    """Measure, judge, draw, keep."""
    result = Result(__doc__.strip())
    sizes = SIZES[:2] if result.quick else SIZES
    worst: dict[str, dict[str, Spread]] = {}
    for dtype in DTYPES:
        peers = Table(
            f"Time of gradlab's forward + bptt over the peer's, {dtype} (under 1: gradlab is faster)",
            ["cell, (T, B, I, H, O)", "gradlab", *PEERS, "over the best peer"],
        )
        ground = Table(
            f"Time of gradlab's forward + bptt over the floor, {dtype}",
            ["cell, (T, B, I, H, O)", "gradlab", "floor", "products", "exp, tanh", "elementwise", "over the floor"],
        )
        for cell in CELLS_HERE:
            for size in sizes:
                net = networks.network(cell, size, dtype)
                times, beside, worth = measured(net, result.quick)
                row, own = f"{cell} {size}", times.seconds("gradlab")
                each = {name: times.ratio("gradlab", name) for name in PEERS}
                best = times.best(PEERS)
                peers.rows.append(
                    [row, duration(own.median), *(number(r.median) for r in each.values()), f"{each[best]} {best}"]
                )
                floor = floors(beside, worth)
                over = Spread.of(g / f for g, f in zip(beside.turns["gradlab"], floor, strict=False))
                share = {name: worth[name] * beside.seconds(name).median for name in worth}
                whole = sum(share.values())
                ground.rows.append(
                    [row, duration(beside.seconds("gradlab").median), duration(whole)]
                    + [f"{100 * part / whole:.0f} %" for part in (share["product"], share["exp"] + share["tanh"])]
                    + [f"{100 * share['elementwise'] / whole:.0f} %", str(over)]
                )
                kept = {name: asdict(ratio) for name, ratio in each.items()}
                key = f"{row} {dtype}"
                worst[key] = {"best": each[best], "jax": each[JAX], "floor": over}
                result.data[key] = {"ratios": kept, "seconds": times.to_json(), "best": best, "floor": asdict(over)}
                print(f"{key}: {duration(own.median)}, {each[best]} × {best}, {over} × the floor", flush=True)
        peers.note = (
            "Medians over interleaved repetitions; in the last column with the least and the largest. `jax` is "
            "jax.jit(jax.value_and_grad) by the weights alone, its inputs on the device; `same outputs` also gives "
            "what gradlab gives: every intermediate, every delta, and the gradients by x and the states. torch.nn.RNN "
            "has tanh and relu only, so beside rnn stands its tanh: as many operations, another function. Every other "
            "candidate was held to give the same gradient before it was timed."
        )
        ground.note = "The floor: counted operations of the formula at rates measured alone in the same run."
        result.table(peers)
        result.table(ground)
    targets(result, worst, FLOOR_AT if not result.quick else sizes[-1])
    keeping(result, sizes[-3:])
    result.close()


def keeping(result: Result, sizes: tuple[tuple[int, ...], ...]) -> None:
    """The large sizes once more, in a process that keeps what is freed. Comes last: it holds from then on."""
    if not keep_freed_memory():
        return
    table = Table(
        "Time of gradlab's forward + bptt over the peer's, float64, where the process keeps freed memory",
        ["cell, (T, B, I, H, O)", "gradlab", *PEERS, "over the best peer", "over the floor"],
    )
    for cell in CELLS_HERE:
        over_best, over_floor = {}, {}
        for size in sizes:
            net = networks.network(cell, size, "float64")
            times, beside, worth = measured(net, result.quick)
            each = {name: times.ratio("gradlab", name) for name in PEERS}
            best = times.best(PEERS)
            over = Spread.of(g / f for g, f in zip(beside.turns["gradlab"], floors(beside, worth), strict=False))
            over_best[size], over_floor[size] = each[best], over
            row = [f"{cell} {size}", duration(times.seconds("gradlab").median)]
            table.rows.append([*row, *(number(r.median) for r in each.values()), f"{each[best]} {best}", str(over)])
            result.data[f"{cell} {size} float64, freed memory kept"] = {
                "best": asdict(each[best]),
                "floor": asdict(over),
            }
            print(f"{cell} {size}, freed memory kept: {each[best]} × {best}, {over} × the floor", flush=True)
        size = max(over_best, key=lambda size: over_best[size].median)
        held = sum(ratio.median <= 1 for ratio in over_best.values())
        figure = f"{held} of {len(over_best)} sizes; worst {over_best[size]} at {size}"
        wanted = "≤ 1.0 × the best peer at the large sizes, freed memory kept"
        result.target(f"kept.{cell}", wanted, figure, held == len(over_best))
        if FLOOR_AT in over_floor:
            over = over_floor[FLOOR_AT]
            wanted = f"≤ 1.25 × the floor at {FLOOR_AT}, freed memory kept"
            result.target(f"kept.{cell}.floor", wanted, str(over), over.median <= 1.25)
    table.note = (
        "After `gradlab.keep_freed_memory()`. Both sides gain: by default the C library gives an array of more than 32 "
        "MB back to the system when it is freed, and the next one is cleared and mapped in page by page."
    )
    result.table(table)


def targets(result: Result, worst: dict[str, dict[str, Spread]], floor_at: tuple[int, ...]) -> None:
    """The targets for the gradient's time."""
    for cell in CELLS_HERE:
        for dtype in DTYPES:
            own = {key: found["best"] for key, found in worst.items() if key.startswith(cell) and key.endswith(dtype)}
            key = max(own, key=lambda key: own[key].median)
            held = sum(ratio.median <= 1 for ratio in own.values())
            figure = (
                f"{held} of {len(own)} sizes; worst {own[key]} at {key.removeprefix(cell).removesuffix(dtype).strip()}"
            )
            result.target(f"gradient.{cell}.{dtype}", "≤ 1.0 × the best peer at every size", figure, held == len(own))
    for dtype in DTYPES:
        own = {key: found["jax"] for key, found in worst.items() if key.startswith("rnn") and key.endswith(dtype)}
        key = max(own, key=lambda key: own[key].median)
        held = sum(ratio.median <= 1 for ratio in own.values())
        figure = (
            f"{held} of {len(own)} sizes; worst {own[key]} at {key.removeprefix('rnn').removesuffix(dtype).strip()}"
        )
        wanted = "≤ 1.0 × jax.jit(jax.value_and_grad) at five sizes"
        result.target(f"gradient.jax.{dtype}", wanted, figure, held == len(own))
    for cell in CELLS_HERE:
        for dtype in DTYPES:
            over = worst[f"{cell} {floor_at} {dtype}"]["floor"]
            result.target(f"floor.{cell}.{dtype}", f"≤ 1.25 × the floor at {floor_at}", f"{over}", over.median <= 1.25)


if __name__ == "__main__":
    main()
