"""Ctrl-C is never lost, and never comes where it does harm."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from gradlab import interrupts
from gradlab.interrupts import checkpoint, held


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """Python's own handler, and after the test the one that was there before; nothing is left waiting."""
    before = {number: signal.getsignal(number) for number in interrupts.STOPPING}
    for number in interrupts.STOPPING:
        signal.signal(number, signal.default_int_handler)
    yield
    for number, handler in before.items():
        assert signal.getsignal(number) is signal.default_int_handler
        signal.signal(number, handler)
    assert not interrupts._pressed and not interrupts._holding


def press(number: int = signal.SIGINT) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", interrupts.STOPPING)
def test_it_waits_for_the_next_checkpoint(number: int) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held():
        press(number)
        done.append("after it")
        checkpoint()
        done.append("after the checkpoint")
    assert done == ["after it"]


def test_without_a_checkpoint_it_comes_at_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held():
        press()
        done.append("all")
    assert done == ["all"]


def test_inside_another_it_waits_too() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held():
        with held():
            press()
        done.append("after the inner one")
        checkpoint()
        done.append("after the checkpoint")
    assert done == ["after the inner one"]


def test_without_one_a_checkpoint_does_nothing() -> None:
    checkpoint()
    with held():
        checkpoint()


def test_an_error_is_not_replaced_and_nothing_waits_afterwards() -> None:
    with pytest.raises(ValueError, match="mine"), held():
        press()
        raise ValueError("mine")
    with held():
        checkpoint()


def test_who_presses_again_after_a_while_waits_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupts, "IMPATIENT", 0.01)
    with pytest.raises(KeyboardInterrupt), held():
        press()
        time.sleep(0.05)
        press()
        pytest.fail("it waited")


def test_two_at_once_are_one() -> None:
    with pytest.raises(KeyboardInterrupt), held():
        press()
        press(signal.SIGTERM)
        checkpoint()


def test_another_handler_stays() -> None:
    heard = []
    signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    with held():
        press(signal.SIGTERM)
        checkpoint()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    assert heard == [signal.SIGTERM]


def test_in_another_thread_nothing_is_held_and_no_checkpoint_raises() -> None:
    raised = []

    def work() -> None:
        try:
            with held():
                checkpoint()
        except KeyboardInterrupt:
            raised.append(True)

    with pytest.raises(KeyboardInterrupt), held():
        press()
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        checkpoint()
    assert not raised


def test_one_that_comes_in_a_callback_of_the_collector_is_not_lost() -> None:
    """There an exception would only be printed: JAX has such a callback."""

    def callback(phase: str, info: object) -> None:
        if phase == "start":
            press()

    gc.callbacks.append(callback)
    try:
        with pytest.raises(KeyboardInterrupt), held():
            gc.collect()
            checkpoint()
            pytest.fail("it was lost")
    finally:
        gc.callbacks.remove(callback)
