"""The process that runs somebody's code: it answers requests for numbers, and knows of no verdict.

Whatever that code does to this process, it can at most spoil the numbers.
"""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import numpy as np

from gradlab.arithmetic import precision
from gradlab.cells import cell
from gradlab.checker.submission import Submission
from gradlab.checker.watch import SubmissionError
from gradlab.grading import confine, wire
from gradlab.grading.attempt import attempt
from gradlab.grading.limits import Limits
from gradlab.problem import Problem


def main(descriptor: int, settings: str) -> None:
    """Serve the channel until it is closed.

    Args:
        descriptor: that of the channel, a socket.
        settings: JSON: "path" of the file that will be loaded, "limits", the fields of a `Limits`.
    """
    channel = socket.socket(fileno=descriptor)
    said = json.loads(settings)
    limits = Limits(**said["limits"])
    confine.die_with_parent()
    confine.limit_resources(limits)
    _warm_up()
    kept = confine.confine([Path(said["path"])]) if limits.confine else []
    if confine.SECCOMP not in kept:
        confine.no_processes()
    _send(channel, wire.READY, " ".join(kept).encode())
    loaded: list[Submission] = []
    while True:
        asked = wire.read_request(_receive(channel))
        try:
            _send(channel, *_answer(loaded, asked))
        except SubmissionError as error:
            _send(channel, wire.ERROR, _said(str(error)))
        except Exception as error:  # noqa: BLE001  what it returns, or has done to this process, is of no known kind
            text = f"{said['path']}: what it returns cannot be read: {type(error).__name__}: {error}"
            _send(channel, wire.ERROR, _said(text))


def _said(text: str) -> bytes:
    """As it is sent: a path that is no text keeps its bytes, so that it is known for what it is."""
    try:
        return text.encode(errors="surrogateescape")[: wire.MOST_TEXT]
    except UnicodeEncodeError:
        return text.encode(errors="replace")[: wire.MOST_TEXT]


def _warm_up() -> None:
    """Import what is imported when first needed: from here on, little can be read."""
    from gradlab.arithmetic.ball import balls
    from gradlab.arithmetic.scalar_rounded import rounded

    balls(np.exp(np.eye(2) @ np.eye(2))), rounded(np.eye(2))


def _answer(loaded: list[Submission], asked: wire.Request) -> tuple[bytes, bytes]:
    detail = asked.detail
    if asked.what == "load":
        loaded.append(Submission(cell(detail["cell"]), detail["path"], detail["seconds"]))
        return wire.LOADED, b""
    [submission] = loaded
    problem = _problem(submission, asked.arrays)
    if asked.what == "floats":
        return wire.ARRAYS, wire.pack_arrays([*submission.floats(problem).values()], problem.dtype)
    if asked.what == "rounding":
        return wire.ARRAYS, wire.pack_arrays([*submission.rounding(problem).values()], np.float64)
    bits = detail["bits"]
    with precision(bits or 53):
        if asked.what == "balls":
            return wire.BALLS, _balls(submission, [*submission.balls(problem).quantities.values()], bits)
        return wire.ATTEMPT, attempt(submission, problem, bits)


def _balls(submission: Submission, arrays: list[Any], bits: int) -> bytes:
    try:
        return wire.pack_balls(arrays, bits)
    except TypeError as error:
        raise SubmissionError(f"{submission.origin}: what it returns on exact numbers holds others: {error}") from None


def _problem(submission: Submission, arrays: dict[str, Any]) -> Problem:
    module = submission.cell.module
    params, state = ({name: arrays[name] for name in record._fields} for record in (module.Params, module.State))
    return Problem(module.Params(**params), arrays["x"], arrays["y"], module.State(**state))


def _send(channel: socket.socket, kind: bytes, payload: bytes) -> None:
    channel.sendall(wire.frame(kind, payload))


def _receive(channel: socket.socket) -> bytes:
    _, size = wire.HEADER.unpack(_exactly(channel, wire.HEADER.size))
    return _exactly(channel, size)


def _exactly(channel: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        part = channel.recv(min(size, 1 << 20))
        if not part:
            os._exit(0)  # nobody asks any more; what somebody's code has registered to run at exit does not run
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
