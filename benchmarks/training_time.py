"""How long does the seeds' training loop take on the hand-written gradient, and in PyTorch with its autograd?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from measure import Result, Table, duration, interleaved

from gradlab.addition.data import sequences
from gradlab.addition.run import CHUNK, Run, Settings, chunk_of_pairs
from gradlab.addition.train import train

STEPS = 640
SEEDS = (0, 1, 2)
APART = 1e-9  # of the largest weight: both loops have to arrive at the same network


def settings(seed: int, steps: int) -> Settings:
    """The seeds' own: 8 bits, 16 hidden units, one pair a step, rate 0.1; evaluated before and after."""
    return Settings(epochs=steps, seed=seed, evaluate_every=steps, stop="never")


def by_hand(given: Settings) -> Any:
    """gradlab's loop; its two looks at 1,000 held-out pairs are in its time."""
    run = Run.start(given)
    for _ in train(run):
        pass
    return run.params


def pairs(given: Settings) -> Iterator[Any]:
    """The x (T, B, 2) and y (T, B, 1) of each step, the same that gradlab trains on."""
    for step in range(given.epochs):
        pair = chunk_of_pairs(given, step // CHUNK)[step % CHUNK]
        yield tuple(map(torch.from_numpy, sequences(pair, given.bits)))


def in_torch(given: Settings, threads: int) -> Any:
    """The same loop, bit by bit as in the seeds: a step of the network for each column, autograd, torch.optim.SGD."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    start = Run.start(given).params
    W_input, W_hidden, W_output = weights = [torch.tensor(weight, requires_grad=True) for weight in start]
    optimizer = torch.optim.SGD(weights, lr=given.rate)
    for x, y in pairs(given):
        a_hidden = torch.zeros(given.batch, given.hidden, dtype=torch.float64)
        loss = torch.zeros((), dtype=torch.float64)
        for column in range(given.bits):
            a_hidden = torch.sigmoid(x[column] @ W_input + a_hidden @ W_hidden)
            y_hat = torch.sigmoid(a_hidden @ W_output)
            loss = loss + 0.5 * ((y_hat - y[column]) ** 2).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    torch.set_num_threads(before)
    return [weight.detach().numpy() for weight in weights]


def same(one: Any, other: Any) -> bool:
    """Whether two lists of weights agree."""
    return all(np.abs(a - b).max() <= APART * np.abs(a).max() for a, b in zip(one, other, strict=True))


def main() -> None:
    """Measure, judge, draw, keep."""
    result = Result(__doc__.strip())
    steps, threads = (64 if result.quick else STEPS), torch.get_num_threads()
    torches = (f"torch, {threads} threads", "torch, 1 thread")
    table = Table(
        f"{steps:,} steps of online training on 8-bit addition, float64",
        ["seed", "gradlab", *torches, *(f"gradlab over {torch_run}" for torch_run in torches), "same weights"],
    )
    ratios = []
    for seed in SEEDS[:1] if result.quick else SEEDS:
        given = settings(seed, steps)
        candidates: dict[str, Callable[[], Any]] = {
            "gradlab": lambda given=given: by_hand(given),
            "default": lambda given=given: in_torch(given, threads),
            "one": lambda given=given: in_torch(given, 1),
        }
        if not same(by_hand(given), in_torch(given, 1)):
            raise SystemExit(f"seed {seed}: the two loops arrive at different weights")
        times = interleaved(candidates, seconds=1.0 if result.quick else 15.0, rounds=7, least=2)
        both = times.ratio("gradlab", "default"), times.ratio("gradlab", "one")
        ratios += both
        table.rows.append([f"{seed}", *(duration(times.seconds(n).median) for n in candidates), *map(str, both), "yes"])
        result.data[f"seed {seed}"] = times.to_json()
    table.note = (
        f"Same start, same pairs, same rate; after {steps:,} steps the weights agree to {APART:g} of the largest. "
        "gradlab's time includes two evaluations on 1,000 held-out pairs; torch's loop evaluates nothing."
    )
    result.table(table)
    largest = max(ratio.median for ratio in ratios)
    wanted = "the training loop faster than the same loop in torch autograd (ours)"
    best = min(ratios, key=lambda ratio: ratio.median)
    result.target(
        "training", wanted, f"{largest:.3f} × its time at the most, {best.median:.3f} at the least", largest < 1
    )
    result.close()


if __name__ == "__main__":
    main()
