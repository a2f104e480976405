"""A file as a list of math spans, each with its exact place: Markdown, a Jupyter notebook or LaTeX.

What cannot be read is a `Problem` with a place, never an exception.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_right
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from gradlab.files import read_bytes
from gradlab.verifier.limits import Limits, OutOfTime

LONGEST_TEXT = 1_000_000
LONGEST_NOTEBOOK = 64_000_000
MOST_PROBLEMS = 1_000
SUFFIXES = (".md", ".ipynb", ".tex")

_FRONT = re.compile(r"\A---[ \t]*\n(.*?)^(?:---|\.\.\.)[ \t]*$\n?", re.DOTALL | re.MULTILINE)
_SURROGATE = re.compile("[\ud800-\udfff]")
_MAGIC = re.compile(r"\s*%%derivation\b[^\n]*\n")


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
    """One piece of text, a file's or a notebook cell's, that offsets count in; it begins at `first_line`."""

    file: str
    text: str
    cell: int = 0
    first_line: int = 1

    @cached_property
    def lines(self) -> list[int]:
        """The offset at which each line begins."""
        return [0, *(match.end() for match in re.finditer("\n", self.text))]

    def place(self, offset: int) -> Place:
        """The place of a character."""
        line = bisect_right(self.lines, offset)
        return Place(self.file, line + self.first_line - 1, offset - self.lines[line - 1] + 1, self.cell)


class Directive(NamedTuple):
    """A comment that speaks about the equation before it: `word` is "expect" or "unchecked"."""

    word: str
    text: str
    place: Place


@dataclass(eq=False)
class Span:
    """The mathematics between two delimiters.

    text: what the renderer is given, without the marks of quotes and lists that the source has on each line. pieces:
    pairs (offset in text, offset in source), from each of which on the two run together. end: where in the source it
    ends, the closing delimiter included. heading: how many headings stand before it.
    """

    source: Source
    text: str
    pieces: list[tuple[int, int]]
    end: int
    heading: int = 0
    directives: list[Directive] = field(default_factory=list)

    def place_of(self, offset: int) -> Place:
        """The place of a character of the text, as the author typed it."""
        index = bisect_right(self.pieces, (offset, len(self.source.text) + 1)) - 1
        begin, at = self.pieces[max(index, 0)]
        return self.source.place(at + offset - begin)

    @property
    def place(self) -> Place:
        """The place of the first character that is not a space."""
        return self.place_of(len(self.text) - len(self.text.lstrip()))


@dataclass(eq=False)
class Document:
    """What was read: the front matter (None if there is none) with its offset, the spans, and what went wrong.

    macros: the commands that a LaTeX file defines: how many arguments each takes, and what it stands for.
    """

    name: str
    front: str | None = None
    front_source: Source | None = None
    front_offset: int = 0
    spans: list[Span] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    macros: dict[str, tuple[int, str]] = field(default_factory=dict)
    stopped: str = ""


def read(path: str | Path, limits: Limits | None = None) -> Document:
    """The document in a file: a notebook if its name ends in .ipynb, LaTeX if in .tex, else Markdown."""
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
    readers = {".ipynb": read_notebook, ".tex": read_latex}
    return readers.get(path.suffix, read_text)(text, str(path), limits)


def read_text(text: str, name: str = "<text>", limits: Limits | None = None) -> Document:
    """The document in a string of Markdown."""
    document = Document(name)
    _add(document, Source(name, _clean(text)), limits or Limits(), first=True)
    return document


def read_latex(text: str, name: str = "<latex>", limits: Limits | None = None) -> Document:
    """The document in a string of LaTeX, with the commands that it defines."""
    from gradlab.verifier import latex_text

    document, source = Document(name), Source(name, _clean(text))
    if not _is_too_long(document, source):
        _collected(document, latex_text.spans(source, limits or Limits()))
        document.macros = latex_text.macros(source.text)
    return document


def read_notebook(text: str, name: str = "<notebook>", limits: Limits | None = None) -> Document:
    """The document in a notebook's JSON: its Markdown cells, its %%derivation cells, and a raw first cell as front
    matter. Notebooks of format 3 and older are brought to 4 by nbformat."""
    limits = limits or Limits()
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        return _unreadable(name, f"is not JSON: {error.msg}", error.lineno, error.colno)
    except (RecursionError, ValueError) as error:
        return _unreadable(name, f"is not a notebook: {error}")
    if isinstance(content, dict) and "worksheets" in content:
        content = _upgraded(content)
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
            continue
        source = _clean(source)
        magic = _MAGIC.match(source) if kind == "code" else None
        if kind == "markdown" or (kind == "raw" and first) or magic:
            begin = magic.end() if magic else 0
            lines = source.count("\n", 0, begin)
            _add(document, Source(name, source[begin:], number, 1 + lines), limits, first)
            first = False
    return document


def _upgraded(content: dict[str, object]) -> object:
    """A notebook of an older format as one of format 4, or as it is if nbformat cannot read it."""
    import warnings

    try:
        from nbformat import convert
        from nbformat.notebooknode import from_dict

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return convert(from_dict(content), 4)  # type: ignore[no-untyped-call]
    except Exception:  # noqa: BLE001 - nbformat raises whatever a broken notebook leads it into
        return content


def _unreadable(name: str, why: str, line: int = 1, column: int = 1) -> Document:
    return Document(name, problems=[Problem(Place(name, line, column), "syntax", f"the file {why}")])


def _clean(text: str) -> str:
    """One kind of line end, and no lone surrogates, which could not be printed; no offset within a line moves."""
    return _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))


def _is_too_long(document: Document, source: Source) -> bool:
    if len(source.text) <= LONGEST_TEXT:
        return False
    message = f"the text is {len(source.text):,} characters long; at most {LONGEST_TEXT:,} are read"
    document.problems.append(Problem(source.place(0), "syntax", message))
    return True


def _add(document: Document, source: Source, limits: Limits, first: bool) -> None:
    """What a piece of Markdown adds to a document."""
    from gradlab.verifier import markdown

    if _is_too_long(document, source) or document.stopped:
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
    try:
        _collected(document, markdown.spans(source, start, limits))
    except OutOfTime as error:
        document.stopped = str(error)


def _collected(document: Document, found: list[Span | Problem]) -> None:
    for each in found:
        if len(document.problems) >= MOST_PROBLEMS:
            message = f"the rest is not read: {MOST_PROBLEMS:,} things before it cannot be"
            document.problems.append(Problem(each.place, "syntax", message))
            return
        if isinstance(each, Problem):
            document.problems.append(each)
        else:
            document.spans.append(each)
