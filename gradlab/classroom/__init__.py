"""Somebody else's file, run in a process of its own, and judged in this one.

    check_file(path)          -> Report          one file
    grade_folder(folder)      -> FolderReport    every file in a folder, in parallel
    write_lesson(cell_name)   -> str             a file whose backward equations are blanks
    grade_lesson(path)        -> LessonReport    each equation by itself, everything upstream of it as it should be

Nothing that is concluded beside somebody's code counts: from there come numbers, and they are judged here.

What that promises: no file gets its verdict changed, is told another's, or outlives its grading; its numbers are right
where it passes. What it cannot promise: that the author wrote the formula (a file may import gradlab's own), that the
kernel has no hole, or, away from Linux on x86-64, that nothing is written or read that the user may write or read.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradlab.classroom.class_report import FolderReport
    from gradlab.classroom.exercise import write_lesson
    from gradlab.classroom.folder import grade_folder
    from gradlab.classroom.grade import grade_lesson
    from gradlab.classroom.isolated import IsolatedSubmission
    from gradlab.classroom.lesson import LessonReport
    from gradlab.classroom.limits import Limits
    from gradlab.classroom.otter import equation_test
    from gradlab.classroom.single import check_file
    from gradlab.classroom.source import read_source

# Where each public name lives; imported when first asked for: the process of a file loads no more than it needs.
_PUBLIC = {
    "FolderReport": "class_report",
    "IsolatedSubmission": "isolated",
    "LessonReport": "lesson",
    "Limits": "limits",
    "check_file": "single",
    "equation_test": "otter",
    "grade_folder": "folder",
    "grade_lesson": "grade",
    "read_source": "source",
    "write_lesson": "exercise",
}

__all__ = [
    "FolderReport",
    "IsolatedSubmission",
    "LessonReport",
    "Limits",
    "check_file",
    "equation_test",
    "grade_folder",
    "grade_lesson",
    "read_source",
    "write_lesson",
]


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(f"{__name__}.{_PUBLIC[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
