"""What the rows of every cell share: the classes they are counted under, what hides them, and how a row is written.

A survey of 151 hand-written recurrent backward passes from 92 public repositories found 44 structurally wrong; its
counts stand behind the classes. 000 and 002 are the two seed notebooks, with lines as in derivations/errata.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from gradlab.mistakes.rows import Mistake

# Classes of the survey, with their counts.
CARRY = "survey: temporal carry missing, incomplete or never updated (17)"
SLOPE = "survey: activation derivative at the wrong point, doubled, omitted (14)"
INDEX = "survey: time index (13)"
OPERAND = "survey: wrong operand (7)"
TRANSPOSE = "survey: missing transpose (6)"
STALE = "survey: stale cache, forward and backward disagree (4)"
OVERWRITTEN = "survey: time accumulation dropped or overwritten (3)"
LAST_LOSS = "survey: last step's loss injected at every step (3)"
MEAN = "survey: sum against mean over T (3, and 6 that are nothing else)"
REPORTED = "survey: reported loss is not the differentiated loss (3)"
OUTSIDE = "survey: carry added on the wrong side of the derivative (2)"
JACOBIAN = "survey: output Jacobian dropped (2)"
HALVED = "survey: tanh(x/2) with tanh's derivative (2)"
TWICE = "survey: a path missing, or counted twice (2, 1)"
SIGN = "survey: sign (1)"

# What keeps a mistake from being noticed.
SMALL = "small weights"
SHORT = "T = 1"
ZERO_STATE = "an initial state of zeros"
EQUAL_SIZES = "equal sizes, and symmetric weights"
COSINE = "comparing directions only: the cosine is 1; the learning rate absorbs the factor"
NOTHING = "nothing but fixed absolute tolerances on small gradients"


class Writer:
    """Writes the rows of one cell.

    Args:
        cell: its name.
        equations: the left-hand and the right-hand side of every equation, in LaTeX, by the name of what it defines.
    """

    def __init__(self, cell: str, equations: Mapping[str, tuple[str, str]]) -> None:
        self.cell = cell
        self.equations = equations

    def row(
        self, name: str, label: str, wrong: str, latex: str, does: str, hides: str, seen: str, square: bool = False
    ) -> Mistake:
        """A mistake in one equation: its wrong right-hand side in NumPy and in LaTeX."""
        return self.rows(name, {label: (wrong, latex)}, does, hides, seen, square)

    def rows(
        self, name: str, wrong: Mapping[str, tuple[str, str]], does: str, hides: str, seen: str, square: bool = False
    ) -> Mistake:
        """One mistake that shows in several equations."""
        sides = self.equations
        return Mistake(
            name,
            self.cell,
            {f"{self.cell}.{label}": text for label, (text, _) in wrong.items()},
            {f"{self.cell}.{label}": f"{sides[label][0]} = {latex}" for label, (_, latex) in wrong.items()},
            {f"{self.cell}.{label}": " = ".join(sides[label]) for label in wrong},
            does,
            hides,
            seen,
            square,
        )
