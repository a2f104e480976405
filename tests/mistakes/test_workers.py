"""Work in other processes: the same results, and a clear end whatever becomes of them."""

from __future__ import annotations

import operator
import os
import signal
from typing import Any

import pytest

from gradlab.cells import cell
from gradlab.mistakes.mutants import mutants
from gradlab.mistakes.trial import judge
from gradlab.mistakes.workers import Task, WorkerError, processors, spread

RNN = cell("rnn")


@pytest.mark.parametrize("jobs", [1, 2])
def test_what_is_raised_in_a_task_is_raised_here(jobs: int) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        list(spread([(operator.floordiv, (1, 0))], jobs))
    assert jobs == 1 or "in a worker process" in caught.value.__notes__[0]


def test_results_are_the_same_in_any_number_of_processes() -> None:
    some = mutants(RNN)[::60]
    tasks: list[Task] = [(judge, (some[i : i + 2], (1.0, 1e-6), 0)) for i in range(0, len(some), 2)]
    tasks.append((operator.attrgetter("quantities"), (RNN,)))
    here, there = sorted(spread(tasks, 1)), sorted(spread(tasks, 2))
    assert here == there
    assert {bool(one.refused) for _, result in here[:-1] for one in result} == {True, False}


@pytest.mark.parametrize(
    ("end", "how"),
    [((os._exit, (3,)), "exit status 3"), ((signal.raise_signal, (signal.SIGKILL,)), "SIGKILL")],
    ids=["exits", "killed"],
)
def test_a_worker_that_ends_is_one_clear_line(end: Task, how: str) -> None:
    with pytest.raises(WorkerError, match=rf"^a worker process ended \({how}\) before it answered; [^\n]+$"):
        list(spread([end, (operator.add, (1, 2))], 2))


def test_what_a_task_prints_is_no_answer() -> None:
    assert list(spread([(print, ("not an answer",))], 2)) == [(0, None)]


def test_nothing_runs_on_where_the_results_are_no_longer_wanted() -> None:
    results = spread([(os.getpid, ()), (signal.pause, ())], 2)
    _, worker = next(results)
    assert worker != os.getpid()
    results.close()  # type: ignore[attr-defined]
    with pytest.raises(ProcessLookupError):
        os.kill(worker, 0)


def test_an_interrupt_is_for_the_main_process_alone() -> None:
    """The workers' group is not that of the terminal."""
    groups: list[Any] = [group for _, group in spread([(os.getpgrp, ())], 2)]
    assert os.getpgrp() not in groups


def test_there_is_a_processor() -> None:
    assert processors() >= 1
