"""What is in a folder that was handed in: every file accounted for, a folder a student or a file a student."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gradlab.cells import GRADIENTS
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.row import NOT_JUDGED, Row
from gradlab.classroom.source import SUFFIXES, Source, read_source

# Where nobody hands anything in.
SKIPPED = ("__pycache__", ".ipynb_checkpoints", ".git", "__MACOSX")

_MOODLE = re.compile(r"_\d+_assignsubmission_\w*$")


@dataclass(frozen=True)
class Entry:
    """One file: its path, its name in the folder, whose it is; and its row, where it is no submission."""

    path: Path
    file: str
    student: str
    row: Row | None = None
    readable: tuple[str, ...] = ()


def entries(folder: Path) -> list[Entry]:
    """Every file in a folder and the folders in it, in the order of their names.

    Raises:
        SubmissionError: it is no folder, or has neither a Python file nor a notebook in it.
    """
    if not folder.is_dir():
        raise SubmissionError(f"{folder}: {'not a folder' if folder.exists() else 'no such folder'}")
    found = sorted(_walk(folder, folder), key=lambda entry: entry.file)
    if all(entry.row is not None for entry in found):
        raise SubmissionError(f"{folder}: neither a Python file nor a notebook is in it")
    return _helped(found)


def _walk(folder: Path, root: Path) -> Iterator[Entry]:
    for path in folder.iterdir():
        name = str(path.relative_to(root))
        student = _student(path.relative_to(root))
        if path.is_dir() and path.suffix in SUFFIXES and not path.is_symlink():
            yield _left_out(path, name, student, "a folder")
            yield from _walk(path, root)
        elif path.is_symlink() and path.is_dir():
            yield _left_out(path, name, student, "a link to a folder; hand in the folder itself")
        elif path.is_dir() and path.name in SKIPPED:
            yield _left_out(path, f"{name}/", student, "a folder in which nobody hands in")
        elif path.is_dir():
            yield from _walk(path, root)
        elif path.suffix not in SUFFIXES:
            yield _left_out(path, name, student, "neither .py nor .ipynb")
        elif path.name.startswith("._"):
            yield _left_out(path, name, student, "what a Mac keeps beside a file")
        else:
            yield Entry(path, name, student)


def _left_out(path: Path, file: str, student: str, why: str) -> Entry:
    return Entry(path, file, student, Row(file, NOT_JUDGED, student, note=why))


def _student(path: Path) -> str:
    """The name of the folder that a file lies in, as learning platforms write it, or its own."""
    return _MOODLE.sub("", path.parts[0]) if len(path.parts) > 1 else path.stem


def _helped(found: list[Entry]) -> list[Entry]:
    """Which of them are modules that others import, and which of these each may read."""
    sources = {entry.path: _source(entry.path) for entry in found if entry.row is None}
    submissions = {path for path, source in sources.items() if source is not None and _is_submission(source)}
    helpers: dict[Path, list[Path]] = {}
    for path in submissions:
        source = sources[path]
        assert source is not None
        helpers[path] = [helper for helper in source.helpers() if helper not in submissions]
    imported = {helper for several in helpers.values() for helper in several}
    return [_placed(entry, submissions, imported, helpers) for entry in found]


def _placed(entry: Entry, submissions: set[Path], imported: set[Path], helpers: dict[Path, list[Path]]) -> Entry:
    inside = any(entry.path.is_relative_to(helper) for helper in imported)
    if entry.row is None and inside and entry.path not in submissions:
        row = Row(entry.file, NOT_JUDGED, entry.student, note="a module that a file beside it imports")
        return replace(entry, row=row)
    return replace(entry, readable=tuple(str(path) for path in helpers.get(entry.path, ())))


def _source(path: Path) -> Source | None:
    if path.is_symlink():
        return None
    try:
        return read_source(path)
    except SubmissionError:
        return None


def _is_submission(source: Source) -> bool:
    """Whether it is a lesson, or defines a gradient that some cell has."""
    if source.lesson is not None:
        return True
    try:
        return any(source.defines(name) for name in GRADIENTS)
    except SubmissionError:
        return True  # no Python, but somebody meant it to be
