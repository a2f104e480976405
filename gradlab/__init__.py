"""Is this hand-derived recurrent gradient right, and if not: which equation, which time step, which mistake?

gradlab.check("rnn")                    -> Report        generated problems, every oracle
gradlab.compare("rnn", problem)         -> Comparison    one problem, entry by entry
gradlab.verify("derivation.md")         -> DocumentReport    every equation of a document
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradlab.checker.check import compare
    from gradlab.checker.report import Comparison, Report
    from gradlab.checker.verdict import Verdict
    from gradlab.gradients.called import GradientCheckError
    from gradlab.gradients.check import assert_gradient, check_gradient
    from gradlab.gradients.report import GradientReport
    from gradlab.gradients.step import check_step
    from gradlab.gradients.vjp import check_vjp
    from gradlab.lab import check
    from gradlab.memory import keep_freed_memory
    from gradlab.mistakes import Diagnosis, diagnose
    from gradlab.problem import Problem, ProblemError
    from gradlab.verifier import DocumentReport, verify

# Where each public name lives; imported when it is first asked for, so that `import gradlab` stays instant.
_PUBLIC = {
    "check": "gradlab.lab",
    "compare": "gradlab.checker.check",
    "Comparison": "gradlab.checker.report",
    "Report": "gradlab.checker.report",
    "Verdict": "gradlab.checker.verdict",
    "Problem": "gradlab.problem",
    "ProblemError": "gradlab.problem",
    "DocumentReport": "gradlab.verifier",
    "verify": "gradlab.verifier",
    "GradientCheckError": "gradlab.gradients.called",
    "GradientReport": "gradlab.gradients.report",
    "assert_gradient": "gradlab.gradients.check",
    "check_gradient": "gradlab.gradients.check",
    "check_step": "gradlab.gradients.step",
    "check_vjp": "gradlab.gradients.vjp",
    "Diagnosis": "gradlab.mistakes",
    "diagnose": "gradlab.mistakes",
    "keep_freed_memory": "gradlab.memory",
}

__all__ = [
    "Comparison",
    "Diagnosis",
    "DocumentReport",
    "GradientCheckError",
    "GradientReport",
    "Problem",
    "ProblemError",
    "Report",
    "Verdict",
    "__version__",
    "assert_gradient",
    "check",
    "check_gradient",
    "check_step",
    "check_vjp",
    "compare",
    "diagnose",
    "keep_freed_memory",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("gradlab")
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def load_ipython_extension(ipython: Any) -> None:
    """%load_ext gradlab: a notebook learns the cell magic %%derivation."""
    from gradlab.notebook import load

    load(ipython)


def __dir__() -> list[str]:
    return sorted(__all__)
