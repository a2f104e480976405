"""The line of a mistake: where the true value, put in its place, makes leaves right.

An intervention shows an instruction. The line that people have to change may be another, with the same numbers in hand:
the call, where a helper is right under another call; a line that only passes on, between what is right and what reads
it; the line that bound the operand that is wrong.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradlab.gradients import expressions
from gradlab.gradients.candidates import Made
from gradlab.gradients.kinds import Kind
from gradlab.gradients.locate import Blamed, Locator
from gradlab.gradients.name import Relation
from gradlab.tape.program import Frame


@dataclass(frozen=True)
class Place:
    """Where a mistake is.

    steps: which executions of the line are wrong, counted along time from 0, of how many. repairs: the leaves that
    become right with the true value there.
    """

    path: str
    line: int
    steps: tuple[int, ...] = ()
    of: int = 1
    repairs: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return Path(self.path).name

    def __str__(self) -> str:
        if self.of < 2 or len(self.steps) == self.of:
            return f"{self.file}:{self.line}"
        first, last = self.steps[0], self.steps[-1]
        if len(self.steps) == 1:
            return f"{self.file}:{self.line}, step {first} of {self.of}"
        if self.steps == tuple(range(first, last + 1)):
            return f"{self.file}:{self.line}, steps {first} to {last} of {self.of}"
        return f"{self.file}:{self.line}, steps {', '.join(map(str, self.steps))} of {self.of}"

    def to_json(self) -> dict[str, Any]:
        return {
            "file": self.file,
            "line": self.line,
            "steps": list(self.steps),
            "of": self.of,
            "repairs": list(self.repairs),
        }


def place(locator: Locator, blamed: Blamed, relations: list[Relation]) -> Place:
    """Where the mistake is that an intervention has shown."""
    made = blamed.fit.made
    n, executions = len(made.numbers), blamed.executions
    if locator.candidates.backwards:
        executions = tuple(sorted(n - 1 - k for k in executions))
    frame = _calling(locator, made)
    path, line = frame.file, frame.line
    if frame is made.site.frames[0]:
        operands = [one for one in relations if one.at is not None]
        found = _bound(locator, blamed, operands) if operands else _passed_on(locator, blamed)
        path, line = found or (path, line)
    return Place(path, line, executions, n, blamed.repairs)


def _calling(locator: Locator, made: Made) -> Frame:
    """The innermost frame; the caller's, where the same instruction is right under another call."""
    frames = made.site.frames
    blamed = {one.fit.made.key for one in locator.blamed}
    codes, nth = made.key
    others = [
        one for one in locator.candidates.made
        if one.key != made.key and one.key[1] == nth and one.key[0][:1] == codes[:1] and one.key not in blamed
        and one.operation == made.operation and _right(locator, one)
    ]  # fmt: skip
    if not others:
        return frames[0]
    for k in range(1, min(len(frames), len(others[0].key[0]))):
        if codes[k] != others[0].key[0][k]:
            return frames[k]
    return frames[0]


def helper(locator: Locator, blamed: Blamed, relations: list[Relation]) -> tuple[str, int] | None:
    """The line of another function that made the operand which is wrong, if it is not the forward once more."""
    wrong = {one.at for one in relations}
    if len(wrong) != 1 or None in wrong:
        return None
    (k,) = wrong
    made, blocks = blamed.fit.made, locator.world.program.blocks
    first = int(blocks[made.numbers[0]].operands[k or 0].reshape(-1)[0])
    number = next((n for n, b in enumerate(blocks) if b.start <= first < b.stop), None)
    if number is None or number in locator.candidates.forward:
        return None
    source = blocks[number]
    if source.operation == "numbers" or source.start < locator.truths.first or not source.site.frames:
        return None
    frame = source.site.frames[0]
    return None if frame.code is made.site.frames[0].code else (frame.file, frame.line)


def _right(locator: Locator, made: Made) -> bool:
    """Whether what an instruction makes is a true derivative as it stands."""
    return any(not fit.shifted for fit in locator.candidates.fits(made, made.stack(locator.world)))


def _bound(locator: Locator, blamed: Blamed, relations: list[Relation]) -> tuple[str, int] | None:
    """Where the operand that is wrong was bound, if this is all that reads it."""
    made = blamed.fit.made
    wrong = {one.at for one in relations}
    if len(wrong) != 1 or None in wrong:
        return None
    (k,) = wrong
    assert k is not None
    frame = made.site.frames[0]
    blocks = locator.world.program.blocks
    first = int(blocks[made.numbers[0]].operands[k].reshape(-1)[0])
    source = next((b for b in blocks if b.start <= first < b.stop), None)
    drawn = source is not None and source.operation == "numbers" and source.start >= locator.truths.first
    if drawn and source is not None and source.site.frames and source.parameter in ("made", "captured"):
        return source.site.frames[0].file, source.site.frames[0].line
    read = expressions.operand(frame, k)
    while isinstance(read, (ast.Attribute, ast.Subscript)):
        read = read.value
    if not isinstance(read, ast.Name):
        return None
    statement = expressions.bound(frame, read.id, later=0 not in blamed.executions)
    if statement is None or not expressions.only_passes_on(statement) or _readers(frame, read.id) > 1:
        return None
    target = getattr(statement, "targets", [None])[0]
    same_but_for_the_step = all(one.kind in (Kind.INDEX, Kind.STALE) for one in relations)
    if not same_but_for_the_step and not (isinstance(target, ast.Name) and relations[0].derivative):
        return None
    return frame.file, statement.lineno


def _readers(frame: Frame, name: str) -> int:
    whole = expressions.function(frame)
    if whole is None:
        return 0
    return sum(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load) for node in ast.walk(whole)
    )


def _passed_on(locator: Locator, blamed: Blamed) -> tuple[str, int] | None:
    """Of what is right by itself, but not what is read there: the line in between, or the one that reads it."""
    made = blamed.fit.made
    if not any(not fit.shifted for fit in locator.candidates.fits(made, blamed.given)):
        return None
    readers = _reading(locator, made)
    own = (made.site.frames[0].file, made.site.frames[0].line)
    lines = {(frame.file, frame.line) for frame, _, _, _ in readers}
    within = all(frame.code is made.site.frames[0].code for frame, _, _, _ in readers)
    if not readers or own in lines:
        return None
    between = set()
    for frame, outer, k, _ in readers:
        between.add(_between(frame, outer, k))
    if len(between) == 1 and None not in between:
        (found,) = between
        return found if found != own else None
    shown = {fit.made.key for fit in blamed.beside}
    if within and len(lines) == 1 and all(key in shown for _, _, _, key in readers):
        return next(iter(lines))
    return None


def _reading(locator: Locator, made: Made) -> list[tuple[Frame, Frame | None, int, Any]]:
    """The instructions of the gradient that take what another makes: their frames, which operand, their key."""
    blocks = locator.world.program.blocks
    found: dict[Any, tuple[Frame, Frame | None, int, Any]] = {}
    spans = [(blocks[n].start, blocks[n].stop) for n in made.numbers]
    for other in locator.candidates.made:
        for n in other.numbers:
            for k, index in enumerate(blocks[n].operands):
                if any(((index >= start) & (index < stop)).any() for start, stop in spans):
                    outer = other.site.frames[1] if len(other.site.frames) > 1 else None
                    found[other.key, k] = (other.site.frames[0], outer, k, other.key)
    return list(found.values())


def _between(frame: Frame, outer: Frame | None, k: int) -> tuple[str, int] | None:
    """The line that only passes an operand on: that binds its name, or the call that hands it in."""
    read = expressions.operand(frame, k)
    if not isinstance(read, ast.Name):
        return None
    statement = expressions.bound(frame, read.id)
    if statement is not None:
        return (frame.file, statement.lineno) if expressions.only_passes_on(statement) else None
    names = frame.code.co_varnames[: frame.code.co_argcount]
    if read.id not in names or outer is None:
        return None
    call, at = expressions.expression(outer), names.index(read.id) - (names[:1] == ("self",))
    if not isinstance(call, ast.Call) or not 0 <= at < len(call.args) or isinstance(call.args[at], ast.Name):
        return None
    return outer.file, outer.line
