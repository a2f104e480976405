"""Ctrl-C, taken where it does no harm.

An interrupt is an exception that may appear anywhere. Inside a callback of the garbage collector it is printed and
lost; in the midst of importing JAX or of a compilation it ends the process with a crash. While interrupts are `held`,
one waits for the next `checkpoint`, of which there is one between any two pieces of work.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOPPING = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))
IMPATIENT = 1.0  # seconds after which another Ctrl-C waits for nothing

_pressed: list[float] = []
_holding = False


@contextmanager
def held() -> Iterator[None]:
    """Let an interrupt wait for the next checkpoint, or for the end of this; in threads other than the main one, and
    inside another `held`, nothing changes.

    Raises:
        KeyboardInterrupt: at the end, where one came after the last checkpoint.
    """
    global _holding
    if _holding or threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = [number for number in STOPPING if signal.getsignal(number) is signal.default_int_handler]
    _holding = True
    for number in ours:
        signal.signal(number, _wait)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.default_int_handler)
        _holding, pressed = False, bool(_pressed)
        _pressed.clear()
    if pressed:
        raise KeyboardInterrupt


def checkpoint() -> None:
    """Raise the interrupt that waits, if there is one.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed since interrupts are held.
    """
    if _pressed and threading.current_thread() is threading.main_thread():
        _pressed.clear()
        raise KeyboardInterrupt


def _wait(number: int, frame: FrameType | None) -> None:
    if _pressed and time.monotonic() - _pressed[0] > IMPATIENT:
        raise KeyboardInterrupt
    _pressed.append(time.monotonic())
