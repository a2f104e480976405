"""pytest --derivations: every Markdown derivation is collected, a test item for each equation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --derivations."""
    group = parser.getgroup("gradlab")
    group.addoption("--derivations", action="store_true", help="judge every equation of the Markdown files collected")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a Markdown file as a derivation, where that was asked for."""
    if file_path.suffix == ".md" and parent.config.getoption("--derivations"):
        return Derivation.from_parent(parent, path=file_path)
    return None


class Derivation(pytest.File):
    """A Markdown file; its equations are judged when it is collected, together, because they build on each other."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each definition, each link of a chain, and whatever could not be read."""
        from gradlab.verifier import verify

        for finding in verify(self.path).findings:
            name = f"{finding.place.line}:{finding.place.column} {finding.label or finding.text}"
            yield Equation.from_parent(self, name=name, finding=finding)


class Equation(pytest.Item):
    """One equation, judged."""

    def __init__(self, *, finding: Any, **options: Any) -> None:
        super().__init__(**options)
        self.finding = finding

    def runtest(self) -> None:
        """Fail where the equation is not what the document says of it."""
        if not self.finding.ok:
            raise EquationFailed("\n".join(self.finding.lines(hint=True)))

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """The finding as the command line prints it, without a traceback."""
        if isinstance(excinfo.value, EquationFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where the equation stands."""
        return self.path, self.finding.place.line - 1, self.name


class EquationFailed(AssertionError):
    """An equation that is not what its document says of it."""
