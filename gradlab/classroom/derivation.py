"""The derivation of a cell that ships with gradlab: where each equation stands in it, and in plain characters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

_TAG = re.compile(r"\\tag\{([\w.]+)\}")
_BLOCK = re.compile(r"^\$\$((?:(?!\n\n|\$\$).)*)\$\$|^```math\n(.*?)^```\s*$|^(##? [^\n]*)$", re.DOTALL | re.MULTILINE)
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)

# LaTeX as a terminal shows it, in the order in which it is replaced.
_PLAIN = (
    (r"\\tag\{.*?\}", ""),
    (r"\\hat\{y\}", "y_hat"),
    (r"\\frac\{1\}\{2\}", "½"),
    (r"\\frac\{\\partial ([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}\{\\partial ([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", r"∂\1 / ∂\2"),
    (r"\\l?r?Vert", "‖"),
    (r"\\(?:left|right|quad|,|;)", ""),
    (r"\\sum_\{?(\w>?\w?)\}?", r"Σ_\1"),
    (r"\\odot", "⊙"),
    (r"\\sigma", "σ"),
    (r"\\delta", "δ"),
    (r"\\tanh", "tanh"),
    (r"\\mathbf\{1\}", "1"),
    (r"\\(?:begin|end)\{aligned\}|\\\\|&", " "),
    (r"\^T", "ᵀ"),
    (r"\^2", "²"),
    (r"[_^]\{([^{}]*)\}", r"_\1"),
    (r"\\(\w+)", r"\1"),
    (r"[{}]", ""),
    (r"\s+", " "),
)


@dataclass(frozen=True)
class Statement:
    """A displayed equation: its LaTeX, the label it is tagged with or "", and the section it stands in."""

    latex: str
    label: str
    section: str

    @property
    def defines(self) -> bool:
        return ":=" in self.latex

    @property
    def left(self) -> str:
        """What it is an equation of."""
        return re.split(r":?&?=", self.latex.replace("\\begin{aligned}", ""), maxsplit=1)[0].strip().rstrip("&").strip()

    @property
    def plain(self) -> str:
        """The same in plain characters."""
        return in_plain_characters(self.latex)


@dataclass(frozen=True)
class Derivation:
    """A document: where it is, what stands before its first line, and its equations in their order."""

    path: Path
    front: str
    statements: tuple[Statement, ...]

    def of(self, label: str) -> Statement | None:
        return next((one for one in self.statements if one.label == label), None)


@cache
def derivation(cell_name: str) -> Derivation | None:
    """The derivation of a cell, None where none ships with gradlab."""
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "derivations", package.parent / "derivations"):
        path = folder / f"{cell_name}.md"
        if path.is_file():
            return _read(path)
    return None


def in_plain_characters(latex: str) -> str:
    """LaTeX as a terminal shows it."""
    for pattern, plain in _PLAIN:
        latex = re.sub(pattern, plain, latex)
    return latex.strip()


def _read(path: Path) -> Derivation:
    text = path.read_text(encoding="utf-8")
    front = _FRONT.match(text)
    section, found = "", []
    for match in _BLOCK.finditer(text):
        if match[3]:
            section = match[3].lstrip("# ").strip()
            continue
        latex = " ".join((match[1] or match[2]).split())
        tag = _TAG.search(latex)
        found.append(Statement(_TAG.sub("", latex).strip(), tag[1] if tag else "", section))
    return Derivation(path, front[0] if front else "", tuple(found))
