r"""The mathematics in Markdown, as a renderer shows it, found by markdown-it-py.

`$…$`, `$$…$$`, `` $`…`$ ``, `\(…\)`, `\[…\]` and both with two backslashes, environments that stand bare (`align`,
`equation`, …: Jupyter renders them), and fences of `math`, `{math}` and `latex`, in lists and quotes too; also inside
blocks of HTML. The rules of markdown-it-py are wrapped: it tells no positions within a paragraph, and knows no limit.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

from gradlab.verifier.document import Directive, Problem, Source, Span
from gradlab.verifier.limits import Limits

ENVIRONMENTS = "align|aligned|alignat|flalign|gather|gathered|equation|eqnarray|multline|split|displaymath|math"

_BRACKETS = re.compile(r"(\\{1,2})([(\[])(.+?)\1([)\]])", re.DOTALL)
_BACKTICKS = re.compile(r"\$`([^`]+)`\$")
_ENVIRONMENT = re.compile(rf"\\begin\{{((?:{ENVIRONMENTS})\*?)\}}.*?\\end\{{\1\}}", re.DOTALL)
_MATH_FENCE = re.compile(r"(?:\{math\}|math|latex|tex)(?:\s|$)", re.IGNORECASE)
_OPTIONS = re.compile(r"(?::[\w-]+:[^\n]*\n)+")
_DIRECTIVE = re.compile(r"<!--\s*(expect|unchecked)\b:?\s*(.{0,2000}?)\s*-->", re.DOTALL)
_BETWEEN = re.compile(r"[ \t.,;:)*_>]*\n?[ \t>]*")
_TAG = re.compile(r"<(?:(script|style|pre|code)\b)?[^>$<]{0,2000}>", re.IGNORECASE)
_DOLLARS = re.compile(r"\$\$([^$]+)\$\$|(?<!\\)\$([^$\n]+)\$")
_OPENING = re.compile(r"\$\$|\\{1,2}\[|\\begin")
_LEFT_OPEN = re.compile(r"(?<!\\)\$\$?(?!\d)(?=[^\n]*[=\\_^])")


def spans(source: Source, start: int, limits: Limits) -> list[Span | Problem]:
    """The spans of a text from an offset on, in order, with the directives that follow them, and what is not closed.

    Raises:
        OutOfTime: the limits are used up.
    """
    blank = re.sub(r"[^\n]", " ", source.text[:start])
    found = _Reader(source, blank + source.text[start:], limits).read()
    return sorted(found, key=lambda each: each.place)


class _Reader:
    def __init__(self, source: Source, text: str, limits: Limits) -> None:
        self.source, self.text, self.limits = source, text, limits
        self.found: list[Span | Problem] = []
        self.heading = 0

    def read(self) -> list[Span | Problem]:
        for token in _parser().parse(self.text, {"limits": self.limits}):
            self.limits.tick()
            if token.type == "heading_open":
                self.heading += 1
            elif token.type == "inline":
                self._inline(token)
            elif token.type in ("math_block", "math_block_label", "amsmath", "brackets_block"):
                self._block(token, token.map[0])
            elif token.type == "fence":
                self._fence(token)
            elif token.type == "html_block":
                self._html(token)
        return self.found

    # Where the text of a token stands in the source.

    def _pieces(self, content: str, first_line: int, begin: int = 0) -> list[tuple[int, int]]:
        """For each line of a token's content, where it begins there and in the source.

        Each is the end of its source line, whose quote marks, list marks and indent were taken off.
        """
        lines, pieces, at = self.source.lines, [], 0
        for number, line in enumerate(content.split("\n"), start=first_line):
            low = lines[number] if number < len(lines) else len(self.text)
            high = lines[number + 1] - 1 if number + 1 < len(lines) else len(self.text)
            column = self.text[low:high].rfind(line, max(begin - low, 0) if number == first_line else 0)
            pieces.append((at, low + max(column, 0)))
            at += len(line) + 1
        return pieces

    def _add(self, text: str, pieces: list[tuple[int, int]], end: int) -> None:
        self.found.append(Span(self.source, text, pieces, end, self.heading))

    def _after(self, pieces: list[tuple[int, int]], offset: int) -> int:
        index = max(bisect_right(pieces, (offset, len(self.text))) - 1, 0)
        return pieces[index][1] + offset - pieces[index][0]

    # Tokens.

    def _inline(self, token: Any) -> None:
        pieces = self._pieces(token.content, token.map[0])
        for child in _flat(token.children):
            where = child.meta.get("pos") if child.meta else None
            if child.type.startswith("math_inline") and where:
                begin = where[0] + len(child.markup)
                inside = [(0, self._after(pieces, begin))]
                inside += [(at - begin, to) for at, to in pieces if begin < at < where[1]]
                self._add(child.content, inside, self._after(pieces, where[1]))
            elif child.type == "html_inline" and where:
                self._directives(child.content, self._after(pieces, where[0]))
        if any(child.type == "text" and "$" in child.content for child in token.children or ()):
            self._left_open(token.content, pieces)

    def _left_open(self, content: str, pieces: list[tuple[int, int]]) -> None:
        """Say of a dollar sign that nothing closes, and behind which mathematics stands."""
        rest = _DOLLARS.sub(lambda match: " " * len(match[0]), content)
        match = _LEFT_OPEN.search(re.sub(r"`+[^`]*`+|\\[$\\]", lambda match: " " * len(match[0]), rest))
        if match is None or any(isinstance(each, Problem) for each in self.found[-1:]):
            return
        message = f"`{match[0]}` is not closed in its paragraph: wanted `{match[0]}` (a dollar sign is \\$)"
        place = self.source.place(self._after(pieces, match.start()))
        self.found.append(Problem(place, "syntax", message))

    def _block(self, token: Any, first_line: int) -> None:
        line = self.source.lines[first_line]
        opening = _OPENING.search(self.text, line)
        begin = opening.end() if opening and not opening[0].startswith("\\b") else line
        pieces = self._pieces(token.content, first_line, begin)
        end = self._after(pieces, len(token.content))
        if token.type != "amsmath":
            closing = re.compile(r"\s*(?:\$\$|\\{1,2}\])(?:[ \t]*\([^)\n]*\))?").match(self.text, end)
            end = closing.end() if closing else end
        if token.type.startswith("math_block") and "$$" in token.content:  # $$ a $$ and $$ b $$, on one line
            at = 0
            for number, part in enumerate(token.content.split("$$")):
                if number % 2 == 0 and part.strip():
                    begin = self._after(pieces, at)
                    self._add(part, [(0, begin)], self._after(pieces, at + len(part)) + 2)
                at += len(part) + 2
            return
        self._add(token.content, pieces, end)

    def _fence(self, token: Any) -> None:
        lines = self.source.lines
        if len(lines) > token.map[1] - 1 and not self._is_closed(token):
            place = self.source.place(self.text.find(token.markup, lines[token.map[0]]))
            self.found.append(Problem(place, "syntax", f"the fence is not closed: wanted {token.markup}"))
            return
        if not _MATH_FENCE.match(token.info.strip()):
            return
        content = token.content
        option = _OPTIONS.match(content)
        content = re.sub(r"[^\n]", " ", option[0]) + content[option.end() :] if option else content
        pieces = self._pieces(token.content, token.map[0] + 1)
        end = lines[token.map[1]] - 1 if token.map[1] < len(lines) else len(self.text)
        self._add(content, pieces, end)

    def _is_closed(self, token: Any) -> bool:
        lines = self.source.lines
        last = self.text[lines[token.map[1] - 1] : lines[token.map[1]] if token.map[1] < len(lines) else None]
        return token.map[1] - token.map[0] > 1 and last.strip(" \t\n>").startswith(token.markup)

    def _html(self, token: Any) -> None:
        base = self.source.lines[token.map[0]]
        end = self.source.lines[token.map[1]] if token.map[1] < len(self.source.lines) else len(self.text)
        text = self.text[base:end]
        if "<!--" in text and text.rfind("<!--") > text.rfind("-->") and "<!-->" not in text:
            place = self.source.place(base + text.rfind("<!--"))
            self.found.append(Problem(place, "syntax", "the comment is not closed: wanted -->"))
        visible = _visible(text)
        events = [(match.start(), match) for match in _DOLLARS.finditer(visible)]
        events += [(match.start(), match) for match in _DIRECTIVE.finditer(text)]
        for at, match in sorted(events, key=lambda event: event[0]):
            if match[0].startswith("<!--"):
                self._directives(match[0], base + at)
            else:
                group = 1 if match[1] else 2
                self._add(match[group], [(0, base + match.start(group))], base + match.end())

    def _directives(self, html: str, at: int) -> None:
        match = _DIRECTIVE.match(html)
        if match is None:
            return
        place = self.source.place(at)
        last = next((each for each in reversed(self.found) if isinstance(each, Span)), None)
        if last is not None and _BETWEEN.fullmatch(self.text, last.end, at):
            last.directives.append(Directive(match[1], match[2], place))
            last.end = at + match.end()
        else:
            message = f"`{match[1]}` follows no equation: it must stand right after one"
            self.found.append(Problem(place, "syntax", message))


def _visible(text: str) -> str:
    """A block of HTML with its tags, comments and code turned to spaces."""
    found, at = [], 0
    while (start := text.find("<", at)) >= 0:
        found.append(text[at:start])
        lower = text[start : start + 2100]
        if lower.startswith("<!-->"):
            end = start + 5
        elif lower.startswith("<!--"):
            end = text.find("-->", start) + 3
            end = len(text) if end < 3 else end
        elif (match := _TAG.match(text, start)) is None:
            end = start + 1
        else:
            close = text.find(f"</{match[1]}", match.end()) if match[1] else -1
            end = close if close >= 0 else match.end()
        found.append(re.sub(r"[^\n]", " ", text[start:end]) if end > start + 1 else "<")
        at = end
    return "".join([*found, text[at:]])


def _flat(children: list[Any] | None) -> Iterator[Any]:
    for child in children or ():
        yield child
        yield from _flat(child.children)


# The parser.


@cache
def _parser() -> Any:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.amsmath import amsmath_plugin
    from mdit_py_plugins.dollarmath import dollarmath_plugin

    found = MarkdownIt("commonmark").enable("table")
    options: dict[str, Any] = {"allow_space": True, "allow_digits": False, "double_inline": True}
    found.use(dollarmath_plugin, allow_labels=True, allow_blank_lines=False, **options).use(amsmath_plugin)
    found.block.ruler.before("fence", "brackets_block", _brackets_block, {"alt": ["paragraph"]})
    found.inline.ruler.before("escape", "brackets", _matching(_BRACKETS, _bracketed))
    found.inline.ruler.before("math_inline", "backticks_math", _matching(_BACKTICKS, lambda match: (match[1], "$`")))
    found.inline.ruler.before("escape", "environment", _matching(_ENVIRONMENT, lambda match: (match[0], "")))
    for ruler in (found.block.ruler, found.inline.ruler):
        rules: list[Any] = list(ruler.__rules__)
        for rule in rules:
            ruler.at(rule.name, _limited(rule.fn), {"alt": rule.alt})
    return found


def _limited(rule: Callable[..., bool]) -> Callable[..., bool]:
    """A rule that looks at the limits first, and notes where in its paragraph what it finds begins and ends."""

    def limited(state: Any, *arguments: Any) -> bool:
        state.env["limits"].tick()
        before, count = getattr(state, "pos", None), len(state.tokens)
        done = rule(state, *arguments)
        if done and before is not None and len(state.tokens) > count:
            state.tokens[-1].meta["pos"] = (before, state.pos)
        return done

    return limited


def _matching(pattern: re.Pattern[str], read: Callable[[re.Match[str]], tuple[str, str] | None]) -> Any:
    """An inline rule for what a pattern matches. read: its content and opening mark, or None if it is prose."""

    def rule(state: Any, silent: bool) -> bool:
        if state.src[state.pos] not in "\\$":
            return False
        match = pattern.match(state.src, state.pos, state.posMax)
        found = read(match) if match else None
        if match is None or found is None:
            return False
        if not silent:
            token = state.push("math_inline", "math", 0)
            token.content, token.markup = found
        state.pos = match.end()
        return True

    return rule


def _bracketed(match: re.Match[str]) -> tuple[str, str] | None:
    if match[2] + match[4] not in ("()", "[]") or (match[1] == "\\" and not re.search(r"[=\\_^<>]", match[3])):
        return None  # an escaped parenthesis in prose
    return match[3], match[1] + match[2]


def _brackets_block(state: Any, first: int, last: int, silent: bool) -> bool:
    r"""\[ … \] over several lines, whatever these begin with."""
    begin = state.bMarks[first] + state.tShift[first]
    match = re.compile(r"\\{1,2}\[").match(state.src, begin)
    if match is None or state.is_code_block(first):
        return False
    closing = match[0].replace("[", "]")
    for line in range(first, last):
        low = match.end() if line == first else state.bMarks[line] + state.tShift[line]
        if line > first and low >= state.eMarks[line]:
            return False
        end = state.src.find(closing, low, state.eMarks[line])
        if end >= 0:
            if state.src[end + 2 : state.eMarks[line]].strip(" .,;]") or line == first:
                return False  # a paragraph goes on behind it
            if not silent:
                content = state.getLines(first, line + 1, state.blkIndent, False)
                token = state.push("brackets_block", "math", 0)
                at = content.find(match[0]) + len(match[0])
                token.content, token.map = content[at : content.rfind(closing)], [first, line + 1]
                state.line = line + 1
            return True
    return False
