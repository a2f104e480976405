"""One training session: begun or resumed, reported, checked, saved, and stopped at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gradlab.addition.carry import CarryHistory, CarryProbe, probe, probe_over_training
from gradlab.addition.data import AdditionError
from gradlab.addition.run import Run, Settings
from gradlab.addition.run_file import load, save
from gradlab.addition.train import Diverged, GradientDisagreement, Progress, train
from gradlab.problem import Problem


class Session:
    """A run, where it is kept, and what has been seen of it.

    Args:
        run: the run, updated in place.
        path: where it is saved at every look and at the end; None keeps it nowhere.
    """

    def __init__(self, run: Run, path: Path | None = None) -> None:
        self.training = run
        self.path = path
        self.snapshots: list[tuple[int, Any]] = []
        self.ended = ""
        self.disagreed = False
        self.seconds = 0.0
        self.carry: tuple[CarryProbe, CarryHistory] | None = None

    @classmethod
    def begin(cls, given: dict[str, Any], path: Path | None = None, resume: bool = False) -> Session:
        """A new run with the given settings, or the one saved at `path`, continued.

        Raises:
            AdditionError: a setting that cannot be, that a resumed run cannot change, or nothing to resume.
            RunFileError: the saved run cannot be read.
            OSError: there is no such folder.
        """
        if resume and path is None:
            raise AdditionError("--resume: name the run with --save RUN.NPZ")
        if resume and path is not None:
            return cls(load(path).continued(**given), path)
        if path is not None and not path.parent.is_dir():
            raise AdditionError(f"{path}: there is no folder {path.parent}")
        return cls(Run.start(Settings(**given)), path)

    def run(
        self,
        check: Callable[[Problem, str], bool] | None,
        check_every: int,
        report_every: int,
        progress: Callable[[str, int, int], None] | None,
        say: Callable[[str], None],
    ) -> None:
        """Train until the run is finished or interrupted; say the seeds' report every `report_every` steps."""
        run, start = self.training, time.perf_counter()
        cell, epochs = run.settings.cell, run.settings.epochs
        live = None if check is None else (lambda problem: check(problem, cell))
        try:
            for look in train(run, check=live, check_every=check_every):
                self.snapshots.append((look.step, look.params))
                if progress is not None:
                    progress(cell, look.step, epochs)
                if look.step % report_every == 0 or run.finished:
                    say(_report(look))
                self._keep()
            self.ended = run.finished
        except GradientDisagreement as error:
            self.ended, self.disagreed = str(error), True
        except Diverged as error:
            self.ended, self.disagreed = str(error), True
            self.path = None  # what was saved before is worth more
        except KeyboardInterrupt:
            self.ended = "interrupted"
        finally:
            self._keep()
            self.seconds = time.perf_counter() - start

    def _keep(self) -> None:
        if self.path is not None:
            save(self.training, self.path)

    def probed(self) -> str:
        """The carry, read off the hidden state: now, and at every look of this session."""
        settings = self.training.settings
        now = probe(self.training.params, settings.bits, settings.cell)
        history = probe_over_training(self.snapshots, settings.bits, settings.cell)
        self.carry = now, history
        return f"{now}\n\n{history}\n"

    @property
    def exit_status(self) -> int:
        """0, or 1 where the live gradient disagreed or the weights ran away."""
        return int(self.disagreed)

    def __str__(self) -> str:
        run = self.training
        lines = [f"{run.settings.cell}: {self.ended}; {run.step} steps, {self.seconds:.1f} s"]
        if run.curve:
            point = run.curve[-1]
            lines.append(f"held-out pairs: {point.exact:.1%} of the sums exact, {point.bits:.2%} of the bits")
            if point.wide == point.wide:
                lines.append(f"held-out 62-bit pairs with long carries: {point.wide:.1%} of the sums exact")
        if self.path is not None:
            lines.append(f"saved: {self.path}")
        return "\n".join(lines)

    def to_json(self) -> dict[str, Any]:
        """Settings, the learning curve, how it ended, and the carry probe where it was asked for."""
        run = self.training
        found: dict[str, Any] = {"settings": asdict(run.settings), "step": run.step, "ended": self.ended}
        found |= {"seconds": round(self.seconds, 3), "curve": [point._asdict() for point in run.curve]}
        if self.carry is not None:
            found["carry"] = {"probe": asdict(self.carry[0]), "over_training": asdict(self.carry[1])}
        return found


def _report(look: Progress) -> str:
    point = look.point
    held_out = f"held-out pairs: {point.exact:.1%} of the sums exact, {point.bits:.2%} of the bits"
    return f"step {look.step}   {held_out}\n{look}"
