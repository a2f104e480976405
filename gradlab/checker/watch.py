"""Calling somebody else's function: its time limited, its output caught, its exceptions turned into one line."""

from __future__ import annotations

import contextlib
import gc
import io
import signal
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from gradlab.tape.program import is_foreign
from gradlab.tape.recorded import NotRecorded

PACKAGE = str(Path(__file__).parents[1])


class SubmissionError(Exception):
    """Code that cannot be judged: one line that says what is wrong, where, and what would be right."""


class _TimeUp(BaseException):
    """Not an Exception, so that the code's own `except Exception` does not swallow it."""


def watched(origin: str, name: str, seconds: float, function: Callable[..., Any], *args: Any) -> Any:
    """function(*args), with floating-point warnings off.

    Args:
        origin: the file that the function is from, for messages. name: what the function is called there.
        seconds: the time limit.

    Raises:
        SubmissionError: the function raises, prints to standard output, or does not end in time.
    """
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output), warnings.catch_warnings(), np.errstate(all="ignore"), _limit(seconds):
            warnings.simplefilter("ignore")
            result = function(*args)
    except _TimeUp:
        raise SubmissionError(f"{origin}: {name} did not end within {seconds:g} s") from None
    except KeyboardInterrupt:
        raise
    except NotRecorded as error:
        raise SubmissionError(f"{_where(origin, error)}: {name} cannot be certified: {error}") from None
    except BaseException as error:  # noqa: BLE001  (SystemExit too: whatever somebody's code raises is reported)
        raise SubmissionError(f"{_where(origin, error)}: {name} raises {_what(error)}") from None
    if output.getvalue():
        line = output.getvalue().splitlines()[0][:60]
        raise SubmissionError(f"{origin}: {name} prints to standard output ({line!r}); take the print out")
    return result


def _where(origin: str, error: BaseException) -> str:
    """file:line, the innermost line of the user's own files which the error came through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == origin or _is_users(frame.filename)]
    return f"{own[-1].filename}:{own[-1].lineno}" if own else origin


def _is_users(filename: str) -> bool:
    return not is_foreign(filename) and not filename.startswith(PACKAGE)


def _what(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  somebody's exception may fail to say what it is
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextlib.contextmanager
def _limit(seconds: float) -> Iterator[None]:
    """Raise _TimeUp in the body after `seconds`; only the main thread can be interrupted so."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def ring(number: int, frame: FrameType | None) -> None:
        raise _TimeUp

    before = signal.signal(signal.SIGALRM, ring)
    # Again and again, for a body that catches everything and goes on.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds / 10)
    collecting = gc.isenabled()
    gc.disable()  # an exception raised in the collector's own callbacks would only be printed
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        if collecting:
            gc.enable()
