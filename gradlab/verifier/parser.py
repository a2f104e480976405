"""From a math span to the syntax trees of its equations, every position kept.

Environments, alignment marks and tags are blanked out, never cut, so an offset in an equation is one in its span.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from gradlab.verifier.shapes import Trouble

LONGEST_EQUATION = 4_000

_COMMANDS = (
    "approx|neq?|equiv|propto|simeq|sim|to|rightarrow|Rightarrow|implies|iff|in|subset|ll|gg|le|leq|ge|geq|lt|gt"
)
_RELATION = re.compile(rf"[=<>≈≠≤≥≡→∈]|\\(?:{_COMMANDS}|leftarrow|gets|mapsto|coloneqq|triangleq)(?![A-Za-z])")
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([A-Za-z]*)\*?\}")
_ENVIRONMENTS = ("align", "aligned", "gather", "gathered", "split", "equation", "multline")
_TAG = re.compile(r"\\tag\*?\s*\{([^{}]*)\}|\\label\s*\{[^{}]*\}")
_NEW_LINE = re.compile(r"\\\\(?:\s*\[[^\]]*\])?|\\newline(?![A-Za-z])")
_CONTINUES = re.compile(
    r"(?:\s|~|\\q?quad(?![A-Za-z])|\\[,;:! ])*(?::?=|[+-]|\\(?:times|cdot|odot|bigodot|circ)(?![A-Za-z]))"
)
_UNFINISHED = re.compile(r"(?::?=|[+-]|\\(?:times|cdot|odot|bigodot|circ))\s*\Z")
_COMMAND = re.compile(r"\\(?:[A-Za-z]+|.?)", re.DOTALL)

_NAMES = {"EQUALS": "`=`", "DEFINE": "`:=`", "RPAR": "`)`", "RSQB": "`]`", "RBRACE": "`}`", "LBRACE": "`{`", "_": "`_`"}
_NAMES |= {"NORM_END": r"`\rVert`", "PARTIAL": r"`\partial`", "CIRCUMFLEX": "`^`", "UNDERSCORE": "`_`", "QMARK": "`?`"}
_NAMES |= dict.fromkeys(("NAME", "NUMBER", "FRAC", "FUNCTION", "SUM", "LPAR", "ONES", "DIGITS", "NORM"), "a term")
_NAMES |= dict.fromkeys(("PLUS", "MINUS", "TIMES", "ODOT"), "an operator")
_NAMES |= dict.fromkeys(("GREATER", "LESS", "AT_MOST", "AT_LEAST"), "a range")
_UNSAID = ("LSQB", "DIAG", "PRIME", "TRANSPOSE")


@dataclass(frozen=True)
class Equation:
    """One equation's text, where in its source that begins, and its tag."""

    text: str
    start: int
    label: str = ""


def has_relation(text: str) -> bool:
    """Whether some sign in the mathematics says that two things are related, so that it must be judged."""
    return _RELATION.search(text) is not None


def equations(text: str, start: int) -> list[Equation]:
    """The equations of a span whose text begins at offset `start` of its source, in order.

    A line that begins with a relation or an operator continues the equation above it.

    Raises:
        Trouble: an environment that does not close, an alignment mark outside one, a line that continues nothing.
    """
    blanked, labels = _blanked(text, start)
    lines = list(_lines(blanked))
    joined: list[tuple[int, int]] = []
    for begin, end in lines:
        line = blanked[begin:end]
        if not line.strip():
            continue
        continues = _CONTINUES.match(line) and (joined or line.lstrip()[0] in ":=")
        if continues and not joined:
            at = start + begin + len(line) - len(line.lstrip())
            raise Trouble("syntax", "this line begins with a relation and there is none above it to continue", at)
        if joined and (continues or _UNFINISHED.search(blanked[joined[-1][0] : joined[-1][1]])):
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((begin, end))
    return [_equation(blanked, begin, end, start, labels) for begin, end in joined]


def parse(equation: Equation) -> Any:
    """The syntax tree of an equation: a lark Tree whose positions count from equation.start.

    Raises:
        Trouble: kind "syntax": what was found, where, and what was wanted.
    """
    from lark.exceptions import UnexpectedCharacters, UnexpectedToken

    if len(equation.text) > LONGEST_EQUATION:
        message = f"the equation is {len(equation.text):,} characters long; at most {LONGEST_EQUATION:,} are read"
        raise Trouble("syntax", message, equation.start)
    try:
        return _parser().parse(equation.text)
    except UnexpectedToken as error:
        ended = error.token.type == "$END"
        at = len(equation.text.rstrip()) if ended else error.token.start_pos or 0
        found = "the equation ends" if ended else f"unexpected `{error.token}`"
        raise Trouble(
            "syntax", f"{found}: wanted {_wanted(error.accepts or error.expected)}", equation.start + at
        ) from None
    except UnexpectedCharacters as error:
        at = error.pos_in_stream or 0
        command = _COMMAND.match(equation.text, at)
        found = f"unknown command {command[0]}" if command else f"unexpected character {equation.text[at]!r}"
        raise Trouble(
            "syntax", f"{found}: wanted {_wanted(_accepted(equation.text[:at]))}", equation.start + at
        ) from None


@cache
def _parser() -> Any:
    from lark import Lark

    grammar = Path(__file__).with_name("grammar.lark").read_text(encoding="utf-8")
    return Lark(grammar, parser="lalr", lexer="basic", propagate_positions=True, maybe_placeholders=False)


def _accepted(text: str) -> Any:
    """What may follow the beginning of an equation; nothing if it cannot be read itself."""
    from lark.exceptions import UnexpectedInput

    parsing = _parser().parse_interactive(text)
    try:
        parsing.exhaust_lexer()
        return parsing.accepts()
    except UnexpectedInput as error:
        return getattr(error, "accepts", None) or ()


def _wanted(terminals: Any) -> str:
    words = {
        _NAMES.get(name, "the end" if name == "$END" else name.lower()) for name in terminals if name not in _UNSAID
    }
    return ", ".join(sorted(words, key=lambda word: (word.startswith("`"), word))) or "nothing more"


def _blanked(text: str, start: int) -> tuple[str, list[tuple[int, str]]]:
    """The text with environments, alignment marks and tags turned to spaces, and the labels with their offsets."""
    labels: list[tuple[int, str]] = []
    opened: list[tuple[str, int]] = []
    inside = False

    def environment(match: re.Match[str]) -> str:
        nonlocal inside
        which, name = match[1], match[2]
        if name not in _ENVIRONMENTS:
            wanted = ", ".join(_ENVIRONMENTS)
            raise Trouble(
                "syntax", f"unknown environment {name or '(none)'}: wanted one of {wanted}", start + match.start()
            )
        if which == "begin":
            opened.append((name, match.start()))
            inside = True
        elif not opened or opened.pop()[0] != name:
            raise Trouble("syntax", rf"\end{{{name}}} closes no \begin{{{name}}}", start + match.start())
        return " " * len(match[0])

    def tag(match: re.Match[str]) -> str:
        if match[1] is not None:
            labels.append((match.start(), match[1].strip().replace("\\_", "_")))
        return " " * len(match[0])

    blanked = _TAG.sub(tag, _ENVIRONMENT.sub(environment, text))
    if opened:
        raise Trouble("syntax", rf"\begin{{{opened[-1][0]}}} is not closed", start + opened[-1][1])
    mark = re.search(r"(?<!\\)&", blanked)
    if mark and not inside:
        raise Trouble("syntax", r"& outside an environment: wanted \begin{align} around it", start + mark.start())
    return re.sub(r"(?<!\\)&", " ", blanked), labels


def _lines(text: str) -> Iterator[tuple[int, int]]:
    begin = 0
    for match in _NEW_LINE.finditer(text):
        yield begin, match.start()
        begin = match.end()
    yield begin, len(text)


def _equation(text: str, begin: int, end: int, start: int, labels: list[tuple[int, str]]) -> Equation:
    """The equation in text[begin:end]: line breaks inside it blanked, its end without punctuation."""
    body = _NEW_LINE.sub(lambda match: " " * len(match[0]), text[begin:end])
    body = body.rstrip().rstrip(".,;").rstrip()
    lead = len(body) - len(body.lstrip())
    label = next((label for at, label in labels if begin <= at < end), "")
    return Equation(body.lstrip(), start + begin + lead, label)
