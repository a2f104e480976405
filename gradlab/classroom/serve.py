"""Requests for numbers, answered by running somebody's code in this process."""

from __future__ import annotations

import os
import socket
import sys
import types
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradlab.arithmetic import precision
from gradlab.arithmetic.ball import balls
from gradlab.cells import Cell
from gradlab.checker.submission import Submission, load_text
from gradlab.checker.watch import NotCertified, SubmissionError, watched
from gradlab.classroom import wire
from gradlab.classroom.skeleton import rebuilt
from gradlab.classroom.stepwise import CHOOSE, Steps, TimeUp, attempt, instrumented, said
from gradlab.problem import Problem


class Loaded(NamedTuple):
    """What is under test here. module: the globals of its equations, where they are run one by one."""

    cell: Cell
    origin: str
    submission: Submission | None
    module: dict[str, Any]


def serve(channel: socket.socket, kept: list[str]) -> None:
    """Answer until the channel is closed; the first request says what to load."""
    _send(channel, wire.READY, " ".join(kept).encode())
    loaded: list[Loaded] = []
    while True:
        asked = wire.read_request(_receive(channel))
        try:
            if asked.what == "load":
                loaded.append(_load(**asked.detail))
                _send(channel, wire.LOADED, b"")
            elif asked.what == "steps":
                _steps(channel, loaded[0], asked)
            else:
                _send(channel, *_answer(loaded[0], asked))
        except NotCertified as error:
            _send(channel, wire.UNCERTIFIED, _text(str(error)))
        except SubmissionError as error:
            _send(channel, wire.ERROR, _text(str(error)))
        except Exception as error:  # noqa: BLE001  what it returns, or has done to this process, is of no known kind
            origin = loaded[0].origin if loaded else ""
            text = f"{origin}: what it returns cannot be read: {type(error).__name__}: {error}"
            _send(channel, wire.ERROR, _text(text))


def _load(cell: dict[str, Any], path: str, text: str, seconds: float, spots: list[Any] | None) -> Loaded:
    known = rebuilt(cell)
    if spots is None:
        code = load_text(text, path, seconds, known.code.names)
        return Loaded(known, path, Submission(known, code, seconds), {})
    module = types.ModuleType("gradlab_submission")
    module.__file__ = path
    sys.modules[module.__name__] = module  # dataclasses and typing look a class's module up by name
    sys.path.insert(0, str(Path(path).parent))
    watched(path, "importing it", seconds, exec, instrumented(text, path, spots), vars(module))
    return Loaded(known, path, None, vars(module))


def _answer(loaded: Loaded, asked: wire.Request) -> tuple[bytes, bytes]:
    submission, problem = loaded.submission, _problem(loaded.cell, asked.arrays)
    if submission is None:
        raise SubmissionError(f"{loaded.origin}: is loaded to be run step by step")
    if asked.what == "floats":
        return wire.ARRAYS, wire.pack_arrays([*submission.floats(problem).values()], problem.dtype)
    if asked.what == "rounding":
        return wire.ARRAYS, wire.pack_arrays([*submission.rounding(problem).values()], np.float64)
    bits = asked.detail["bits"]
    with precision(bits):
        return wire.BALLS, _balls(submission, [*submission.balls(problem).quantities.values()], bits)


def _balls(submission: Submission, arrays: list[Any], bits: int) -> bytes:
    try:
        return wire.pack_balls(arrays, bits)
    except TypeError as error:
        raise SubmissionError(f"{submission.origin}: what it returns on exact numbers holds others: {error}") from None


def _steps(channel: socket.socket, loaded: Loaded, asked: wire.Request) -> None:
    """Run the equations one by one; the end of it is said whatever happens."""
    problem, detail = _problem(loaded.cell, asked.arrays), asked.detail
    bits, shapes = detail["bits"], {name: tuple(shape) for name, shape in detail["shapes"].items()}

    def tell(kind: bytes, payload: bytes) -> None:
        _send(channel, kind, payload)

    def ask(kind: bytes, payload: bytes) -> bytes:
        _send(channel, kind, payload)
        return _receive(channel)

    packed, why = _receive(channel), ""
    with precision(bits or 53):
        parts = {name: shapes[name] for name in loaded.cell.module.Trace._fields}
        found = wire.unpack_balls(packed, parts, bits) if bits else wire.unpack_arrays(packed, parts, problem.dtype)
        trace = loaded.cell.module.Trace(**found)
        loaded.module[CHOOSE] = Steps(ask, tell, shapes, problem.dtype, bits, detail["skip"], detail["seconds"])
        names = loaded.cell.code.names
        functions = [loaded.module.get(name) if name in detail["functions"] else None for name in names]
        try:
            attempt(functions, problem.inputs(balls if bits else np.array), trace)
        except (Exception, TimeUp) as error:  # noqa: BLE001  a line of the author's own, which stands outside equations
            why = said(error) if isinstance(error, Exception) else "did not end in time"
    tell(wire.ENDED, _text(why))


def _problem(cell: Cell, arrays: dict[str, Any]) -> Problem:
    module = cell.module
    params, state = ({name: arrays[name] for name in record._fields} for record in (module.Params, module.State))
    return Problem(module.Params(**params), arrays["x"], arrays["y"], module.State(**state))


def _text(text: str) -> bytes:
    """As it is sent: a path that is no text keeps its bytes, so that it is known for what it is."""
    try:
        return text.encode(errors="surrogateescape")[: wire.MOST_TEXT]
    except UnicodeEncodeError:
        return text.encode(errors="replace")[: wire.MOST_TEXT]


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
