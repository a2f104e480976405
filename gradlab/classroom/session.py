"""What `gradlab check FILE` and `gradlab check FOLDER` run, and what is to be said of it beside the report."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from gradlab.cells import cell
from gradlab.classroom.confine import missing
from gradlab.classroom.folder import grade_folder
from gradlab.classroom.grade import grade_lesson
from gradlab.classroom.gradescope import write_results
from gradlab.classroom.limits import Limits
from gradlab.classroom.points import Points
from gradlab.classroom.row import Row, Task, judged
from gradlab.classroom.single import cell_of, check_file
from gradlab.classroom.source import Source, notes, read_source

Progress = Callable[[str, int, int], None]


@dataclass
class Session:
    """One file, a lesson or not, or a folder, each file run in a process of its own.

    Raises:
        SubmissionError: from `run`: it cannot be judged.
    """

    path: Path
    cell: str | None
    examples: int
    seed: int | None
    seconds: float
    hint: bool
    allow_unconfined: bool
    points: tuple[str, ...]
    progress: Progress | None
    report: Any = field(default=None, init=False)

    @cached_property
    def source(self) -> Source:
        return read_source(self.path)

    @property
    def limits(self) -> Limits:
        return Limits(seconds=self.seconds, total=60) if self.path.is_dir() else Limits(seconds=self.seconds)

    def run(self) -> Any:
        """The report: of a folder a `FolderReport`, of a lesson a `LessonReport`, else a `Report`."""
        self.report = self._folder() if self.path.is_dir() else self._file()
        return self.report

    def _folder(self) -> Any:
        return grade_folder(
            self.path,
            self.cell,
            limits=self.limits,
            seed=self.seed,
            points=self.points,
            allow_unconfined=self.allow_unconfined,
            progress=self.progress,
        )

    def _file(self) -> Any:
        name = cell_of(self.source, self.cell)
        if self.source.lesson is not None:
            worth = Points.read(self.points, cell(name)) if self.points else None
            report = grade_lesson(self.source, limits=self.limits, hint=self.hint, seed=self.seed, points=worth)
            report.notes = tuple(notes(self.source, cell(name).code.names))
            return report
        options: dict[str, Any] = {"examples": self.examples, "seed": self.seed, "limits": self.limits}
        return check_file(self.source, name, hint=self.hint, progress=self.progress, **options)

    @property
    def warning(self) -> str:
        """What nothing keeps a file from here, as one line; "" where everything is kept from it."""
        lacking = missing(self.report.confined or ())
        return f"here nothing keeps {self.path} from {', '.join(lacking)}" if lacking else ""

    def write_gradescope(self, path: Path) -> None:
        """The result of one file as Gradescope reads it. Raises FileError where it cannot be written."""
        name = cell_of(self.source, self.cell)
        worth = dict(Points.read(self.points, cell(name)).worth)
        task = Task(str(self.path), self.path.name, "", name, getattr(self.report, "own_seed", None) or 0, worth=worth)
        write_results(path, self._row(task))

    def _row(self, task: Task) -> Row:
        readable = tuple(str(helper) for helper in self.source.helpers())
        return judged(Task(**{**vars(task), "readable": readable}), self.limits)
