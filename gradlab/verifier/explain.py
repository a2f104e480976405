"""What was inferred of a document, as front matter that can be pasted into it, and as remarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradlab.verifier.scope import Scope, Symbol

if TYPE_CHECKING:
    from gradlab.verifier.inference import Book


def explained(book: Book) -> str:
    """The front matter that says what was inferred, and below it what each scope defines and leaves arbitrary."""
    lines = ["---", *_front(book.chapters[0].readings[0].scope), "---"]
    for number, chapter in enumerate(book.chapters, start=1):
        reading = chapter.readings[0]
        scope = reading.scope
        where = f"scope {number}: " if len(book.chapters) > 1 else ""
        steps = f"steps {scope.first}..{'T' if scope.first else 'T-1'}"
        lines.append(f"# {where}read with {reading.orientation}, {steps}, ∂ the {scope.partial} derivative")
        for kind, words in _KINDS.items():
            names = [symbol.text for symbol in scope.symbols.values() if _kind(symbol) == kind]
            if names:
                lines.append(f"# {where}{words}: {', '.join(dict.fromkeys(names))}")
        if scope.arbitrary:
            lines.append(f"# {where}arbitrary smooth: {', '.join(sorted(scope.arbitrary))}")
        others = [other.orientation for other in chapter.readings[1:]]
        if others:
            lines.append(f"# {where}the definitions also fit: {', '.join(others)}")
    return "\n".join(lines)


_KINDS = {"defined": "defined", "derived": "defined through a derivative", "function": "functions"}


def _kind(symbol: Symbol) -> str:
    if symbol.kind == "function":
        return "function"
    if symbol.body is None or symbol.is_scalar:
        return ""
    return "derived" if symbol.kind == "derivative" else "defined"


def _front(scope: Scope) -> list[str]:
    lines = []
    if scope.cell:
        lines.append(f"cell: {scope.cell}")
    if "T" in scope.fixed or scope.steps != Scope().steps:
        lines.append(f"steps: {scope.steps}")
    lines.append("symbols:")
    for symbol in scope.symbols.values():
        if symbol.body is not None or symbol.kind != "given" or symbol.values in ("identity", "ones", "arbitrary"):
            continue
        time = "(t)" if symbol.timed and not _has_time(symbol.text) else ""
        shape = symbol.values or (" x ".join(symbol.space) if symbol.space else "scalar")
        lines.append(f"  {symbol.text}{time}: {shape}")
    lines.append(f"conventions: {{layout: {scope.layout}, partial: {scope.partial}}}")
    return lines


def _has_time(text: str) -> bool:
    return "_" in text or "^" in text or "(" in text
