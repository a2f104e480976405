"""A Markdown file or a Jupyter notebook as a list of math spans, each with its exact place.

Math stands in `$$…$$`, `$…$`, `` $`…`$ `` and fences opened with ```` ```math ````. Other code is not math.
What cannot be read is a `Problem` with a place, never an exception.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gradlab.files import read_bytes

LONGEST_TEXT = 1_000_000
LONGEST_NOTEBOOK = 64_000_000
MOST_PROBLEMS = 1_000

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_NEXT = re.compile(r"\\[\s\S]|<!--|\$`|\$\$|\$|^ {0,3}(?:`{3,}|~{3,})|`+", re.MULTILINE)
_CLOSING = {"$": re.compile(r"\\[\s\S]|\n[ \t]*\n|\$"), "$$": re.compile(r"\\[\s\S]|\n[ \t]*\n|\$\$")}
_BLANK_LINE = re.compile(r"\n[ \t]*\n")
_BETWEEN = re.compile(r"[ \t.,;:)*_]*\n?[ \t]*")
_TICKS = re.compile("`+")
_DIRECTIVE = re.compile(r"\s*(expect|unchecked)\b:?\s*(.*?)\s*", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


class Place(NamedTuple):
    """Where something stands: line and column count from 1; `cell` is the notebook's cell, from 1, or 0 for a file."""

    file: str
    line: int
    column: int
    cell: int = 0

    def __str__(self) -> str:
        cell = f"cell {self.cell}:" if self.cell else ""
        return f"{self.file}:{cell}{self.line}:{self.column}"


class Problem(NamedTuple):
    """Something that cannot be read or has no meaning: its place, its kind and what would be right.

    kind: "syntax", "undefined", "shape", "time" (or another word that `expect` knows).
    """

    place: Place
    kind: str
    message: str


@dataclass(frozen=True, eq=False)
class Source:
    """One piece of text, a file's or a notebook cell's, that offsets count in."""

    file: str
    text: str
    cell: int = 0

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    @cached_property
    def _blank_lines(self) -> list[int]:
        return [*(match.start() for match in _BLANK_LINE.finditer(self.text)), len(self.text)]

    def paragraph_end(self, offset: int) -> int:
        """Where the paragraph that an offset stands in ends."""
        return self._blank_lines[bisect_left(self._blank_lines, offset)]

    def place(self, offset: int) -> Place:
        """The place of a character."""
        line = bisect_right(self._lines, offset)
        return Place(self.file, line, offset - self._lines[line - 1] + 1, self.cell)


class Directive(NamedTuple):
    """A comment that speaks about the equation before it: `word` is "expect" or "unchecked"."""

    word: str
    text: str
    offset: int


@dataclass(eq=False)
class Span:
    """The mathematics between two delimiters: source.text[start:end]."""

    source: Source
    start: int
    end: int
    directives: list[Directive] = field(default_factory=list)

    @property
    def text(self) -> str:
        return self.source.text[self.start : self.end]

    @property
    def place(self) -> Place:
        """The place of the first character that is not a space."""
        return self.source.place(self.start + len(self.text) - len(self.text.lstrip()))


@dataclass(eq=False)
class Document:
    """What was read: the front matter (None if there is none) with its offset, the spans, and what went wrong."""

    name: str
    front: str | None = None
    front_source: Source | None = None
    front_offset: int = 0
    spans: list[Span] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read(path: str | Path) -> Document:
    """The document in a file: a notebook if its name ends in .ipynb, else Markdown."""
    path = Path(path)
    try:
        size = path.stat().st_size
        limit = LONGEST_NOTEBOOK if path.suffix == ".ipynb" else 4 * LONGEST_TEXT
        data = read_bytes(path, limit) if size <= limit else None
    except OSError as error:
        return _unreadable(str(path), f"cannot be opened: {error.strerror or error}")
    if data is None:
        return _unreadable(str(path), f"is {size:,} bytes long; at most {limit:,} are read")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - before.rfind(b"\n")
        byte = data[error.start]
        return _unreadable(str(path), f"byte 0x{byte:02x} is not UTF-8: wanted Markdown text", line, column)
    return (read_notebook if path.suffix == ".ipynb" else read_text)(text, str(path))


def read_text(text: str, name: str = "<text>") -> Document:
    """The document in a string of Markdown."""
    document = Document(name)
    _add(document, Source(name, _clean(text)), first=True)
    return document


def read_notebook(text: str, name: str = "<notebook>") -> Document:
    """The document in a notebook's JSON (nbformat 4): its Markdown cells, and a raw first cell as front matter."""
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        return _unreadable(name, f"is not JSON: {error.msg}", error.lineno, error.colno)
    except (RecursionError, ValueError) as error:
        return _unreadable(name, f"is not a notebook: {error}")
    cells = content.get("cells") if isinstance(content, dict) else None
    if not isinstance(cells, list):
        return _unreadable(name, 'is not a notebook of format 4: wanted an object with a list "cells"')
    document, first = Document(name), True
    for number, cell in enumerate(cells, start=1):
        kind, source = (cell.get("cell_type"), cell.get("source")) if isinstance(cell, dict) else (None, None)
        if isinstance(source, list) and all(isinstance(line, str) for line in source):
            source = "".join(source)
        if not isinstance(source, str):
            document.problems.append(Problem(Place(name, 1, 1, number), "syntax", "a cell without source text"))
        elif kind == "markdown" or (kind == "raw" and first):
            _add(document, Source(name, _clean(source), number), first)
            first = False
    return document


def _unreadable(name: str, why: str, line: int = 1, column: int = 1) -> Document:
    return Document(name, problems=[Problem(Place(name, line, column), "syntax", f"the file {why}")])


def _clean(text: str) -> str:
    """One kind of line end, and no lone surrogates, which could not be printed; no offset within a line moves."""
    return _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _add(document: Document, source: Source, first: bool) -> None:
    if len(source.text) > LONGEST_TEXT:
        message = f"the text is {len(source.text):,} characters long; at most {LONGEST_TEXT:,} are read"
        document.problems.append(Problem(source.place(0), "syntax", message))
        return
    start = 0
    if first:
        match = _FRONT.match(source.text)
        if match is not None:
            document.front, document.front_source, document.front_offset = match[1], source, match.start(1)
            start = match.end()
        elif re.match(r"---[ \t]*\n\s*\w+:", source.text):
            message = "the front matter opened by --- is not closed: wanted a line ---"
            document.problems.append(Problem(source.place(0), "syntax", message))
    for found in _scan(source, start):
        if len(document.problems) >= MOST_PROBLEMS:
            message = f"the rest is not read: {MOST_PROBLEMS:,} things before it cannot be"
            document.problems.append(Problem(found.place, "syntax", message))
            return
        (document.problems if isinstance(found, Problem) else document.spans).append(found)  # type: ignore[arg-type]


def _scan(source: Source, at: int) -> Iterator[Span | Problem]:
    """The spans of a text in order, with the directives that follow them."""
    text = source.text
    last: Span | None = None
    last_end = 0
    while (match := _NEXT.search(text, at)) is not None:
        opening, start = match[0].strip(" "), match.end()
        if opening.startswith("\\"):
            at = start
        elif opening == "<!--":
            end = text.find("-->", start)
            if end < 0:
                yield Problem(source.place(match.start()), "syntax", "the comment is not closed: wanted -->")
                return
            at = end + 3
            directive = _directive(text[start:end], match.start())
            if directive is not None and last is not None and _BETWEEN.fullmatch(text, last_end, match.start()):
                last.directives.append(directive)
                last_end = at
            elif directive is not None:
                message = f"`{directive.word}` follows no equation: it must stand right after one"
                yield Problem(source.place(match.start()), "syntax", message)
        elif "$" in opening:
            close = _closing(source, opening, start)
            if close is None:
                closing = opening[::-1]
                message = f"`{opening}` is not closed in its paragraph: wanted `{closing}` (a dollar sign is \\$)"
                yield Problem(source.place(match.start()), "syntax", message)
                at = source.paragraph_end(start)
                continue
            last, at = Span(source, start, close), close + len(opening)
            last_end = at
            yield last
        elif match[0][0] == " " or (
            len(opening) >= 3 and text[: match.start()].endswith(("\n", "")[match.start() == 0])
        ):
            found, at = _fence(source, opening, start)
            if isinstance(found, Span):
                last, last_end = found, at
            if found is not None:
                yield found
        else:
            at = _inline_code(source, opening, start)


def _directive(comment: str, offset: int) -> Directive | None:
    match = _DIRECTIVE.fullmatch(comment)
    return None if match is None else Directive(match[1], match[2], offset)


def _closing(source: Source, opening: str, start: int) -> int | None:
    """Where the math opened before `start` ends, or None if its paragraph ends first."""
    if opening == "$`":
        end, stop = source.text.find("`$", start), source.paragraph_end(start)
        return end if 0 <= end < stop else None
    for match in _CLOSING[opening].finditer(source.text, start):
        if match[0].startswith("$"):
            return match.start()
        if match[0].startswith("\n"):
            return None
    return None


def _inline_code(source: Source, ticks: str, start: int) -> int:
    """Where the code opened by `ticks` before `start` ends; `start` itself if nothing closes it in its paragraph."""
    stop = source.paragraph_end(start)
    for match in _TICKS.finditer(source.text, start, stop):
        if len(match[0]) == len(ticks):
            return match.end()
    return start


def _fence(source: Source, ticks: str, start: int) -> tuple[Span | Problem | None, int]:
    """The span of a math fence opened before `start` (None for other code), or what is wrong; and where it ends."""
    text = source.text
    line_end = text.find("\n", start)
    line_end = len(text) if line_end < 0 else line_end
    closing = re.compile(rf"^ {{0,3}}{re.escape(ticks)}[{ticks[0]}]*[ \t]*$", re.MULTILINE)
    match = closing.search(text, min(line_end + 1, len(text)))
    if match is None:
        return Problem(source.place(start - len(ticks)), "syntax", f"the fence is not closed: wanted {ticks}"), len(
            text
        )
    is_math = text[start:line_end].strip() == "math"
    return Span(source, line_end + 1, match.start()) if is_math else None, match.end()
