r"""The mathematics in a LaTeX file, and the commands that it defines.

Comments, verbatim text and what stands before \begin{document} are no mathematics. A file that is included is not read,
and said.
"""

from __future__ import annotations

import re

from gradlab.verifier.document import Directive, Problem, Source, Span
from gradlab.verifier.limits import Limits
from gradlab.verifier.markdown import ENVIRONMENTS

_COMMENT = re.compile(r"(?<![^\\]\\)(?<!^\\)%[^\n]*", re.MULTILINE)
_HIDDEN = re.compile(
    r"\\begin\{(?P<name>verbatim\*?|lstlisting|minted|comment)\}.*?\\end\{(?P=name)\}"
    r"|\\(?:verb|lstinline)\*?(?P<mark>[^A-Za-z\s*{]).*?(?P=mark)",
    re.DOTALL,
)
_NEXT = re.compile(
    r"(?P<escaped>\\[\\$%&#_{}])|(?P<round>\\\()|(?P<square>\\\[)|\\begin\{(?P<name>(?:"
    + ENVIRONMENTS
    + r")\*?)\}|(?P<double>\$\$)|(?P<single>\$)|\\(?:input|include)\s*\{(?P<file>[^}]*)\}"
    r"|(?P<section>\\(?:sub)*(?:section|chapter|paragraph)\b)"
)
_CLOSING = {"round": "\\)", "square": "\\]", "double": "$$", "single": "$"}
_DIRECTIVE = re.compile(r"%\s*(expect|unchecked)\b:?\s*([^\n]*?)\s*$", re.MULTILINE)
_DEFINES = re.compile(
    r"\\(?:(?:re|provide)?newcommand|DeclareRobustCommand)\*?\s*\{?\\(?P<new>[A-Za-z]+)\}?\s*(?:\[(?P<count>\d)\])?"
    r"\s*(?:\[[^\]]*\])?\s*(?=\{)|\\def\s*\\(?P<def>[A-Za-z]+)(?P<marks>(?:#\d)*)\s*(?=\{)"
    r"|\\DeclareMathOperator\*?\s*\{?\\(?P<operator>[A-Za-z]+)\}?\s*(?=\{)"
)


def macros(text: str) -> dict[str, tuple[int, str]]:
    r"""What \newcommand, \def and \DeclareMathOperator define: for each name how many arguments, and its body."""
    found: dict[str, tuple[int, str]] = {}
    clean = _blanked(_COMMENT, text)
    for match in _DEFINES.finditer(clean):
        body = braced(clean, match.end())
        if body is None:
            continue
        if match["new"]:
            found[match["new"]] = (int(match["count"] or 0), body)
        elif match["def"]:
            found[match["def"]] = (len(match["marks"] or "") // 2, body)
        else:
            found[match["operator"]] = (0, rf"\operatorname{{{body}}}")
    return found


def braced(text: str, at: int) -> str | None:
    """What stands in the braces that open at an offset, or None if they do not close."""
    depth, index = 0, at
    while index < len(text):
        if text[index] == "\\":
            index += 2
            continue
        depth += (text[index] == "{") - (text[index] == "}")
        if depth == 0:
            return text[at + 1 : index]
        index += 1
    return None


def spans(source: Source, limits: Limits) -> list[Span | Problem]:
    """The spans of a LaTeX file in order, with the directives that stand in comments behind them."""
    text = _blanked(_HIDDEN, _blanked(_COMMENT, source.text))
    begin = text.find(r"\begin{document}")
    at, heading, found = max(begin, 0), 0, list[Span | Problem]()
    while (match := _NEXT.search(text, at)) is not None:
        limits.tick()
        at, kind = match.end(), match.lastgroup or ""
        if kind == "section":
            heading += 1
        elif kind == "file":
            message = rf"{match[0]} is not followed: verify that file too"
            found.append(Problem(source.place(match.start()), "cannot tell", message))
        elif kind in ("name", *_CLOSING):
            closing = rf"\end{{{match['name']}}}" if kind == "name" else _CLOSING[kind]
            end = _end(text, at, closing)
            if end < 0:
                message = f"`{match[0]}` is not closed: wanted `{closing}`"
                found.append(Problem(source.place(match.start()), "syntax", message))
                continue
            start, stop = (match.start(), end + len(closing)) if kind == "name" else (at, end)
            found.append(Span(source, text[start:stop], [(0, start)], end + len(closing), heading))
            at = end + len(closing)
    for match in _DIRECTIVE.finditer(source.text):
        before = [each for each in found if isinstance(each, Span) and each.end <= match.start()]
        if before and not source.text[before[-1].end : match.start()].strip(" \t\n.,;"):
            before[-1].directives.append(Directive(match[1], match[2], source.place(match.start())))
    return found


def _end(text: str, at: int, closing: str) -> int:
    if not closing.startswith("$"):
        return text.find(closing, at)
    while at < len(text):
        if text.startswith("\n\n", at):
            return -1
        if text[at] == "\\":
            at += 2
        elif text.startswith(closing, at):
            return at
        else:
            at += 1
    return -1


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
