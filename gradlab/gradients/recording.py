"""A subject as a program: loss and gradient recorded in one world, the loss first, at one point.

The recording is that code's only if it gives the floats of the user's own run, bit for bit; where it does not, nothing
is certified.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gradlab.frontends.numpy_code import Recording
from gradlab.gradients.called import GradientCheckError, origin
from gradlab.gradients.subject import Subject
from gradlab.gradients.tree import mapped
from gradlab.tape import Program, replay
from gradlab.tape.program import is_foreign
from gradlab.tape.replay import Run

Array = np.ndarray[Any, Any]


class Refused(Exception):
    """An oracle that does not apply: why, in a line."""


class Recorded(NamedTuple):
    """The program of a loss and its gradient.

    leaves: the nodes of the parameters by path. outputs: (K,) nodes. gradients: by path, (K, …) nodes.
    loss: how many nodes, and how many guards, belong to the outputs alone.
    """

    program: Program
    leaves: dict[str, Array]
    outputs: Array
    gradients: dict[str, Array]
    loss: tuple[int, int]

    def floats(self) -> tuple[Array, dict[str, Array]]:
        """Outputs and gradients as the recorded run has them."""
        return self.program.floats(self.outputs), {p: self.program.floats(index) for p, index in self.gradients.items()}

    def replayed(self, arithmetic: Any, **options: Any) -> Run:
        """The program in another arithmetic."""
        return replay(self.program, arithmetic, **options)


def record(subject: Subject, outputs: Array, gradients: dict[str, Array]) -> Recorded:
    """Record a subject at its point.

    Args:
        outputs: (K,), gradients: by path, (K, …): what the user's own run gives there.

    Raises:
        Refused: it cannot be recorded, or gives other floats.
    """
    failures: list[Exception] = []

    def work() -> Recorded | None:
        try:
            return _recorded(subject)
        except Exception as error:  # noqa: BLE001  (whatever somebody's code raises is a reason to refuse)
            failures.append(error)
            return None

    try:
        made: Recorded | None = subject.call(work)
    except GradientCheckError as error:
        raise Refused(f"{error} while it is recorded") from None
    if made is None:
        raise refusal(subject, failures[0])
    _same_floats(subject, made, outputs, gradients)
    return made


def _recorded(subject: Subject) -> Recorded:
    recording = Recording(subject.functions)
    program, params = recording.program, subject.params
    leaves = {path: recording.leaf(leaf, "parameter") for path, leaf in params.leaves.items()}
    upstream = mapped(
        lambda _, leaf: (recording.leaf(leaf, "upstream"), np.asarray(leaf).dtype, not isinstance(leaf, np.ndarray)),
        subject.upstream,
        "",
    )

    def point() -> Any:
        given = {path: recording.array(index, params.leaves[path].dtype) for path, index in leaves.items()}
        return params.rebuilt(given)

    def cotangents() -> Any:
        return _mapped_leaves(upstream, lambda leaf: recording.array(leaf[0], leaf[1], number=leaf[2]))

    outputs = recording.call(subject.outputs, recording.functions, point(), cotangents())
    found = np.array([recording.nodes(one).reshape(()) for one in outputs], np.intp)
    loss = (program.length, len(program.guards))
    trees = recording.call(subject.gradients, recording.functions, point(), cotangents())
    gradients = {
        path: np.stack([recording.nodes(one) for one in each]) for path, each in subject.matched_leaves(trees).items()
    }
    recording.whole()
    return Recorded(program, leaves, found, gradients, loss)


def _mapped_leaves(tree: Any, function: Any) -> Any:
    """A tree of (nodes, dtype, number) with each of them replaced."""
    if isinstance(tree, tuple) and len(tree) == 3 and isinstance(tree[1], np.dtype):
        return function(tree)
    if isinstance(tree, dict):
        return {key: _mapped_leaves(part, function) for key, part in tree.items()}
    made = [_mapped_leaves(part, function) for part in tree]
    return type(tree)(*made) if hasattr(tree, "_fields") else type(tree)(made)


def _same_floats(subject: Subject, made: Recorded, outputs: Array, gradients: dict[str, Array]) -> None:
    found, theirs = made.floats()
    if not np.array_equal(found, outputs, equal_nan=True):
        raise Refused(_other(subject.loss_name, found, outputs))
    for path, leaf in theirs.items():
        if not np.array_equal(leaf, gradients[path].astype(float), equal_nan=True):
            raise Refused(_other(f"{subject.gradient_name}, {path},", leaf, gradients[path]))


def _other(name: str, found: Array, own: Array) -> str:
    at = tuple(int(i) for i in np.argwhere((found != own) & ~(np.isnan(found) & np.isnan(own)))[0])
    return f"{name} gives {own[at]!r} and, recorded, {found[at]!r}: the recording is not that code"


def refusal(subject: Subject, error: Exception) -> Refused:
    """Why a recording cannot be made, with the user's file and line."""
    text = " ".join(str(error).split())
    if isinstance(error, GradientCheckError):
        return Refused(text)
    frames = traceback.extract_tb(error.__traceback__)
    users = [f for f in frames if not is_foreign(f.filename)]
    where = f"{Path(users[-1].filename).name}:{users[-1].lineno}: " if users else ""
    if where and text.startswith(where):
        where = ""
    if not users:
        where = f"{origin(subject.functions[subject.loss_name])}: "
    kind = "" if type(error).__name__ == "NotRecorded" else f"{type(error).__name__}: "
    return Refused(f"{where}{kind}{text[:160]}")
