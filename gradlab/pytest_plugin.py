"""For tests: the fixture `gradcheck`, whose failures are the report alone; and `pytest --derivations`.

--derivations: every derivation in Markdown or in a notebook is collected, a test item for each equation.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --derivations."""
    group = parser.getgroup("gradlab")
    group.addoption("--derivations", action="store_true", help="judge every equation of Markdown and notebooks")


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect a Markdown file or a notebook as a derivation, where that was asked for."""
    if file_path.suffix in (".md", ".ipynb") and parent.config.getoption("--derivations"):
        return Derivation.from_parent(parent, path=file_path)
    return None


class Derivation(pytest.File):
    """A Markdown file or a notebook; its equations build on each other, so they are judged together when collected."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item for each definition, each link of a chain, and whatever could not be read."""
        from gradlab.verifier import verify

        for finding in verify(self.path).findings:
            cell = f"cell {finding.place.cell}, " if finding.place.cell else ""
            name = f"{cell}{finding.place.line}:{finding.place.column} {finding.label or finding.text}"
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


class Gradcheck:
    """What the fixture `gradcheck` is: gradcheck(loss, grad, params), gradcheck.vjp(f, vjp, x), gradcheck.step(…).

    The arguments are those of `check_gradient`, `check_vjp` and `check_step`, and `strict`, as in `assert_gradient`;
    each returns the report. Raises WrongGradient, an AssertionError, unless the verdict is "agree".
    """

    def __call__(self, loss: Callable[[Any], Any], grad: Callable[[Any], Any], params: Any, **options: Any) -> Any:
        from gradlab.gradients import check_gradient

        return self._asserted(check_gradient, loss, grad, params, **options)

    def vjp(self, f: Callable[[Any], Any], vjp: Callable[[Any, Any], Any], x: Any, **options: Any) -> Any:
        """`check_vjp`, asserted."""
        from gradlab.gradients import check_vjp

        return self._asserted(check_vjp, f, vjp, x, **options)

    def step(self, forward_step: Any, backward_step: Any, params: Any, x: Any, state: Any, **options: Any) -> Any:
        """`check_step`, asserted."""
        from gradlab.gradients import check_step

        return self._asserted(check_step, forward_step, backward_step, params, x, state, **options)

    def _asserted(self, check: Callable[..., Any], *arguments: Any, strict: bool = False, **options: Any) -> Any:
        from gradlab.gradients.check import asserted

        return asserted(check(*arguments, **options), strict=strict)


@pytest.fixture(scope="session")  # it keeps nothing, and Hypothesis refuses what is made anew for each test
def gradcheck() -> Gradcheck:
    """Asserts that a hand-written gradient is right: gradcheck(loss, grad, params)."""
    return Gradcheck()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A gradient that is not right is shown as its report, without the traceback of what found it out."""
    report = yield
    error = call.excinfo.value if call.excinfo is not None else None
    if error is not None and _is_about_a_gradient(error) and not item.config.getoption("fulltrace"):
        assert call.excinfo is not None
        own = [entry for entry in call.excinfo.traceback if entry.path == item.path]
        where = f"{item.path.name}:{own[-1].lineno + 1}: " if own else ""
        report.longrepr = "\n".join([f"{where}{error}", *getattr(error, "__notes__", [])])
    return report


def _is_about_a_gradient(error: BaseException) -> bool:
    called = sys.modules.get("gradlab.gradients.called")
    return called is not None and isinstance(error, (called.WrongGradient, called.GradientCheckError))
