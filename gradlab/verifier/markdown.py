"""Pieces of Markdown, as notebooks show them: text that stands as it is, code, formulas, tables."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

SPECIAL = re.compile(r"([\\<>&*_$|\[\]#~])")


def escaped(text: str) -> str:
    """Text that is shown as it stands, in a table too; what stands between ` and ` is code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return SPECIAL.sub(r"\\\1", text)
    parts[::2] = [SPECIAL.sub(r"\\\1", part) for part in parts[::2]]
    parts[1::2] = [code(part) for part in parts[1::2]]
    return "".join(parts)


def code(text: str) -> str:
    """Code, whatever it holds, on one line."""
    text = " ".join(text.split()).replace("|", r"\|")
    marks = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    blank = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{marks}{blank}{text}{blank}{marks}"


def math(text: str) -> str:
    """A formula in LaTeX, on one line."""
    return f"${' '.join(text.split())}$".replace("|", r"\vert ")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of cells that are Markdown themselves."""
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return "\n".join([lines[0], "|---" * len(head) + "|", *lines[1:]])
