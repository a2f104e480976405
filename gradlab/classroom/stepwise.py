"""A file's equations run one by one, in the process that runs somebody's code.

Each value is handed over before the right one, which is put in its place, is known here: so no equation fails for
another's sake, and none can be read off what it is held against.
"""

from __future__ import annotations

import ast
import contextlib
import json
import signal
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import numpy as np

from gradlab.arithmetic import midpoints
from gradlab.classroom import wire

Array = np.ndarray[Any, Any]

CHOOSE = "_gradlab_equation"


class TimeUp(BaseException):
    """Not an Exception, so that an equation's own `except Exception` does not swallow it."""


class Steps:
    """What a file's equations are replaced by: calls of it, which hand their values over and get the right ones.

    Args:
        ask: sends a kind and a payload; the payload of the answer.
        skip: equations that are not evaluated. seconds: the time of one.
    """

    def __init__(
        self,
        ask: Callable[[bytes, bytes], bytes],
        tell: Callable[[bytes, bytes], None],
        shapes: wire.Shapes,
        dtype: Any,
        bits: int,
        skip: list[str],
        seconds: float,
    ) -> None:
        self.ask, self.tell, self.shapes, self.dtype, self.bits = ask, tell, shapes, dtype, bits
        self.skip, self.seconds = set(skip), seconds

    def __call__(self, name: str, equation: Callable[[], Any], index: Any) -> Any:
        """Evaluate an equation, at one index or, for None, whole; the right value."""
        place = None if index is None or index is ... else int(index)
        shape = self.shapes[name] if place is None else self.shapes[name][1:]
        if name in self.skip:
            return self._right(wire.SKIPPED, name, place, shape, b"")
        self.tell(wire.BEGUN, json.dumps([name, place]).encode())
        try:
            with limited(self.seconds):
                packed = self._packed(equation(), shape)
        except TimeUp:
            self.skip.add(name)
            return self._right(wire.FAILED, name, place, shape, f"did not end within {self.seconds:g} s".encode())
        except Exception as error:  # noqa: BLE001  whatever somebody's equation raises is said of that equation
            self.skip.add(name)
            return self._right(wire.FAILED, name, place, shape, said(error).encode(errors="replace"))
        return self._right(wire.VALUE, name, place, shape, packed)

    def _packed(self, value: Any, shape: tuple[int, ...]) -> bytes:
        if np.shape(value) != shape:
            raise ShapeError(f"has shape {np.shape(value)}, wanted {shape}")
        array = np.asarray(value)
        if self.bits:
            midpoints(array)  # raises where an entry is no number
            return wire.pack_balls([array], self.bits)
        if array.dtype != self.dtype:
            raise ShapeError(f"came out as {array.dtype} from {self.dtype}")
        return wire.pack_arrays([array], self.dtype)

    def _right(self, kind: bytes, name: str, place: int | None, shape: tuple[int, ...], payload: bytes) -> Any:
        answer = self.ask(kind, json.dumps([name, place]).encode() + b"\n" + payload)
        if self.bits:
            return wire.unpack_balls(answer, {name: shape}, self.bits)[name][()]
        return wire.unpack_arrays(answer, {name: shape}, self.dtype)[name][()]

    def helper(self, line: int, error: Exception) -> None:
        """A line of the author's own that raises: what needs it says so itself."""
        self.tell(wire.HELPER, json.dumps([line, said(error)]).encode())


class ShapeError(Exception):
    """A value that no equation can have here; the message says so without "raises"."""


def said(error: Exception) -> str:
    """What an equation raised, in a line."""
    cause = error.__cause__ if isinstance(error, SystemError) and error.__cause__ is not None else error
    try:
        text = " ".join(str(cause).split())[:200]
    except Exception:  # noqa: BLE001  somebody's exception may fail to say what it is
        text = ""
    return text if isinstance(error, ShapeError) else f"raises {type(cause).__name__}: {text}"


@contextlib.contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TimeUp in the body after that many seconds, and again and again for one that goes on."""

    def ring(number: int, frame: FrameType | None) -> None:
        raise TimeUp

    signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds / 10)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def instrumented(text: str, origin: str, spots: list[list[Any]]) -> Any:
    """The code of a file whose equations are calls of what stands under CHOOSE in its globals.

    Args:
        spots: what `Plan.to_json` gives.
    """
    tree = ast.parse(text)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            mine = [spot[1:] for spot in spots if spot[0] == node.name]
            if mine:
                _Instrument(mine).function(node)
    return compile(ast.fix_missing_locations(tree), origin, "exec", dont_inherit=True)


class _Instrument:
    """Replaces a function's equations, and keeps what its other lines raise from stopping it."""

    def __init__(self, spots: list[list[Any]]) -> None:
        self.at = {line: (name, target) for name, target, line, _, _ in spots if line}
        self.missing = [(name, target, before, after) for name, target, line, before, after in spots if not line]

    def function(self, node: ast.FunctionDef) -> None:
        node.body = self._block(node.body)
        last = [
            self._equation(name, target, None) for name, target, before, after in self.missing if not before + after
        ]
        place = len(node.body) - 1 if isinstance(node.body[-1], ast.Return) else len(node.body)
        node.body[place:place] = last

    def _block(self, body: list[ast.stmt]) -> list[ast.stmt]:
        found: list[ast.stmt] = []
        for node in body:
            if isinstance(node, ast.Assign) and node.lineno in self.at:
                found += [
                    self._equation(name, target, None)
                    for name, target, before, _ in self.missing
                    if before == node.lineno
                ]
                found.append(self._equation(*self.at[node.lineno], node))
                found += [
                    self._equation(name, target, None)
                    for name, target, _, after in self.missing
                    if after == node.lineno
                ]
            elif isinstance(node, ast.Assign | ast.AugAssign | ast.AnnAssign | ast.Expr | ast.Assert | ast.Raise):
                found.append(_guarded(node))
            else:
                for part in ("body", "orelse", "finalbody"):
                    if isinstance(getattr(node, part, None), list):
                        setattr(node, part, self._block(getattr(node, part)))
                found.append(node)
        return found

    @staticmethod
    def _equation(name: str, target: str, node: ast.Assign | None) -> ast.stmt:
        wanted = ast.parse(f"{target} = ...").body[0]
        assert isinstance(wanted, ast.Assign)
        targets = wanted.targets
        value: ast.expr = wanted.value
        if node is not None:
            value = node.value
            if ast.unparse(node.targets[0]) != target:
                targets = [*node.targets, *targets]
        subscript = next((one for one in (node.targets if node else targets) if isinstance(one, ast.Subscript)), None)
        index = subscript.slice if subscript is not None else ast.Constant(None)
        nothing = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        asked = [ast.Constant(name), ast.Lambda(nothing, value), index]
        made = ast.Assign(targets, ast.Call(ast.Name(CHOOSE, ast.Load()), asked, []))
        return ast.copy_location(made, node) if node is not None else made


def _guarded(node: ast.stmt) -> ast.stmt:
    line, error = ast.Constant(node.lineno), ast.Name("_gradlab_error", ast.Load())
    told = ast.Call(ast.Attribute(ast.Name(CHOOSE, ast.Load()), "helper", ast.Load()), [line, error], [])
    handler = ast.ExceptHandler(ast.Name("Exception", ast.Load()), "_gradlab_error", [ast.Expr(told)])
    return ast.copy_location(ast.Try([node], [handler], [], []), node)


def attempt(functions: Sequence[Callable[..., Any] | None], given: Any, trace: Any) -> None:
    """Call those of a file's three functions whose equations are asked for, on right inputs.

    Args:
        functions: by the cell's names, None where it is not asked for. given: the problem's inputs, in the arithmetic
            asked for. trace: the right trace for them.
    """
    params, x, y, state = given
    forward, loss, gradient = functions
    with np.errstate(all="ignore"):
        if forward is not None:
            forward(params, x, state)
        if loss is not None:
            loss(trace.y_hat, y)
        if gradient is not None:
            gradient(params, x, y, state, trace)
