"""Is this hand-derived recurrent gradient right, and if not: which equation, which time step, which mistake?

    gradlab.check("rnn")                    -> Report        generated problems, every oracle
    gradlab.compare("rnn", problem)         -> Comparison    one problem, entry by entry
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradlab.checker.check import check, compare
    from gradlab.checker.report import Comparison, Report
    from gradlab.checker.verdict import Verdict
    from gradlab.problem import Problem, ProblemError

# Where each public name lives; imported when it is first asked for, so that `import gradlab` stays instant.
_PUBLIC = {
    "check": "gradlab.checker.check",
    "compare": "gradlab.checker.check",
    "Comparison": "gradlab.checker.report",
    "Report": "gradlab.checker.report",
    "Verdict": "gradlab.checker.verdict",
    "Problem": "gradlab.problem",
    "ProblemError": "gradlab.problem",
}

__all__ = ["Comparison", "Problem", "ProblemError", "Report", "Verdict", "__version__", "check", "compare"]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("gradlab")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
