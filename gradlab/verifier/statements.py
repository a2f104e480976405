r"""The statements of a span: chains of sides with relations between them, each with its label and its conditions.

A line break parts two statements, unless a line begins or ends with a relation or an operator; so do a comma, a
semicolon, \quad, words, and a second column of an `align`, where a relation of its own stands on either side. What
stands behind a statement without a relation, or with one about a time, is a condition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gradlab.verifier.parser import OPENING
from gradlab.verifier.shapes import Trouble
from gradlab.verifier.tokens import Token, Tokens, read

LONGEST = 4_000
_CLOSING = frozenset(OPENING.values())
_CONTINUES = frozenset(("+", "-", "x", ".", "o", "*", "/", "kron"))
_CONDITIONAL = (
    "for",
    "if",
    "when",
    "where",
    "with",
    "whenever",
    "unless",
    "otherwise",
    "provided",
    "and",
    "all",
    "any",
)


@dataclass(frozen=True)
class Statement:
    """A chain: sides[0] signs[0] sides[1] …, each side as its tokens (empty if nothing stands there).

    conditions: what restricts it. begin, end: where its text stands in the span.
    """

    sides: tuple[tuple[Token, ...], ...]
    signs: tuple[str, ...]
    label: str = ""
    conditions: tuple[tuple[Token, ...], ...] = ()
    begin: int = 0
    end: int = 0
    lead: str = ""


@dataclass
class _Piece:
    tokens: list[Token]
    column: int = 0
    separator: str = ""
    words: list[str] = field(default_factory=list)


def statements(text: str, macros: Mapping[str, tuple[int, str]]) -> list[Statement]:
    """The statements of a span's text, in order.

    Raises:
        Trouble: what cannot be read: a brace or an environment that does not close, a mark outside its place.
    """
    found = read(text, macros)
    pieces = _joined(_lines(found.tokens))
    out: list[Statement] = []
    for piece in pieces:
        out += _parted(piece, found)
    return out


def has_relation(text: str, macros: Mapping[str, tuple[int, str]]) -> bool:
    """Whether some sign in the mathematics says that two things are related, so that it must be judged."""
    try:
        tokens = read(text, macros).tokens
    except Trouble:
        return any(sign in text for sign in "=<>≈≠≤≥≡→∈≔＝") or "\\" in text
    return any(token.kind == "rel" for token in tokens)


def _depths(tokens: list[Token]) -> list[int]:
    """How many brackets are open before each token; a bar opens none."""
    depth, found = 0, []
    for token in tokens:
        closes = token.kind in _CLOSING or token.kind == "end"
        depth -= closes and depth > 0
        found.append(depth)
        depth += token.kind in OPENING or token.kind == "begin"
    return found


def _lines(tokens: list[Token]) -> list[_Piece]:
    """The cells of the lines: parted at newlines, and at every second & of an environment with columns."""
    pieces: list[_Piece] = [_Piece([])]
    layouts: list[str] = []
    marks, depth = 0, 0
    for token in tokens:
        if token.kind == "layout":
            if token.style == "begin":
                layouts.append(token.text)
            elif layouts:
                layouts.pop()
            pieces.append(_Piece([]))
            marks = 0
            continue
        depth += (token.kind in ("begin", "{", "[", "(")) - (token.kind in ("end", "}", "]", ")"))
        inside = token.kind in ("newline", "&") and _open_matrix(pieces)
        if token.kind == "newline" and not inside:
            pieces.append(_Piece([]))
            marks = 0
        elif token.kind == "&" and not inside:
            if not layouts:
                raise Trouble("syntax", r"& outside an environment: wanted \begin{align} around it", token.at)
            marks += 1
            if marks % 2 == 0 and layouts[-1] == "columns" and _has_whole_relation(pieces[-1].tokens):
                pieces.append(_Piece([], marks // 2, "column"))
        else:
            pieces[-1].tokens.append(token)
    return [piece for piece in pieces if any(token.kind != "quad" for token in piece.tokens)]


def _open_matrix(pieces: list[_Piece]) -> bool:
    return sum((t.kind == "begin") - (t.kind == "end") for t in pieces[-1].tokens) > 0


def _has_whole_relation(tokens: list[Token]) -> bool:
    kept = [token for token in tokens if token.kind not in ("quad",)]
    return bool(kept) and kept[-1].kind != "rel" and any(token.kind == "rel" for token in kept)


def _joined(pieces: list[_Piece]) -> list[_Piece]:
    """The pieces with every line joined to the one that it continues, of its own column."""
    found: list[_Piece] = []
    for piece in pieces:
        while piece.tokens[0].kind == "quad":
            piece.tokens.pop(0)
        first = piece.tokens[0]
        above = next((each for each in reversed(found) if each.column == piece.column), None)
        continues = first.kind == "rel" or (first.kind == "op" and first.text in _CONTINUES)
        if (continues and piece.separator != "column") or (continues and first.kind == "rel"):
            if above is not None and (first.kind == "rel" or above is found[-1]):
                above.tokens += piece.tokens
                continue
            if first.kind == "rel":
                message = "this line begins with a relation and there is none above it to continue"
                raise Trouble("syntax", message, first.at)
        if found and above is found[-1] and _unfinished(found[-1].tokens):
            found[-1].tokens += piece.tokens
            continue
        found.append(piece)
    return found


def _unfinished(tokens: list[Token]) -> bool:
    kept = [token for token in tokens if token.kind != "quad"]
    last = kept[-1]
    return (
        last.kind == "rel" or (last.kind == "op" and last.text in _CONTINUES) or max(_depths(kept)[-1:], default=0) > 0
    )


def _parted(piece: _Piece, found: Tokens) -> list[Statement]:
    """The statements of one line."""
    depths = _depths(piece.tokens)
    parts: list[tuple[list[Token], str]] = [([], "")]
    for token, depth in zip(piece.tokens, depths, strict=True):
        parts_here = depth == 0 and token.kind in (",", ";", "quad", "text")
        if depth == 0 and token.kind == "rel" and token.text in ("implies", "iff", "to"):
            parts_here = any(t.kind == "rel" and t.text in ("=", ":=") for t in parts[-1][0])
        if parts_here:
            word = token.text if token.kind == "text" else "rel" if token.kind == "rel" else token.kind
            parts.append(([], word))
        else:
            parts[-1][0].append(token)
    out: list[Statement] = []
    heads: list[tuple[list[Token], str]] = []
    for tokens, before in parts:
        kept = _trimmed(tokens)
        if not kept:
            if before and before not in (",", ";", "quad"):
                heads.append(([], before))
            continue
        if not _relates(kept):
            heads.append((kept, before))
            continue
        condition = bool(out) and (_is_conditional(before, heads))
        if condition and _is_about_letters(kept):
            out[-1] = _with(out[-1], kept)
            heads = []
            continue
        lead = [head for head, word in heads if head]
        statement = _statement(kept, found)
        if "in" in statement.signs and lead:
            out += [_statement([*head, *kept[_first_relation(kept) :]], found) for head in lead]
        elif out and lead:
            for head in lead:
                out[-1] = _with(out[-1], head)
        out.append(statement)
        heads = []
    for head, word in heads:
        if out and head:
            out[-1] = _with(out[-1], head)
        elif out and word.split()[:1] and word.split()[0].lower() in _CONDITIONAL:
            out[-1] = _with(out[-1], [Token("text", word, piece.tokens[0].at, piece.tokens[0].at)])
    return out


def _is_conditional(before: str, heads: list[tuple[list[Token], str]]) -> bool:
    words = [before, *(word for _, word in heads)]
    return any(word.split() and word.split()[0].lower() in _CONDITIONAL for word in words) or before in ("quad", ",")


def _is_about_letters(tokens: list[Token]) -> bool:
    """Whether a relation is about an index or a time: t < T, i \\neq j, t = 1, …, T."""
    if sum(token.kind == "rel" for token in tokens) > 2:
        return False
    kinds = {token.kind for token in tokens}
    allowed = {"name", "number", "rel", "op", "(", ")", ",", "dots", r"\{", r"\}", "[", "]", "set", "infty"}
    if not kinds <= allowed or (
        any(token.text in ("=", ":=") for token in tokens if token.kind == "rel") and len(tokens) > 9
    ):
        return False
    letters = {token.text for token in tokens if token.kind == "name"}
    return (
        tokens[0].kind in ("name", "number")
        and letters <= set("tsTkijlmnNKLM") | {"tau"}
        and _first_relation(tokens) <= 2
    )


def _with(statement: Statement, condition: list[Token]) -> Statement:
    from dataclasses import replace

    return replace(statement, conditions=(*statement.conditions, tuple(condition)))


def _trimmed(tokens: list[Token]) -> list[Token]:
    kept = list(tokens)
    while kept and kept[-1].kind in (".", ",", ";", "quad", ":", "text"):
        kept.pop()
    while kept and kept[0].kind in ("quad", "text", ",", ";", "."):
        kept.pop(0)
    return kept


def _relates(tokens: list[Token]) -> bool:
    depths = _depths(tokens)
    return any(token.kind == "rel" and depth == 0 for token, depth in zip(tokens, depths, strict=True))


def _first_relation(tokens: list[Token]) -> int:
    return next(index for index, token in enumerate(tokens) if token.kind == "rel")


def _statement(tokens: list[Token], found: Tokens) -> Statement:
    """The chain in tokens, parted at the relations that stand in no bracket."""
    sides: list[list[Token]] = [[]]
    signs: list[str] = []
    for token, depth in zip(tokens, _depths(tokens), strict=True):
        if token.kind == "rel" and depth == 0:
            if signs and not sides[-1]:  # two signs, as in `: =` or `= \triangleq`
                raise Trouble("syntax", f"unexpected `{token.text}`: wanted a term", token.at)
            signs.append(token.text)
            sides.append([])
        elif token.kind == ":" and depth == 0:
            continue
        elif token.kind not in ("quad",):
            sides[-1].append(token)
    begin, end = tokens[0].at, max(token.end for token in tokens)
    label = next((text for at, text in found.labels if _nearest(at, begin, end, found)), "")
    trimmed = tuple(tuple(_trimmed(side)) for side in sides)
    return Statement(trimmed, tuple(signs), label, (), begin, end)


def _nearest(at: int, begin: int, end: int, found: Tokens) -> bool:
    """Whether a label stands in a statement, or behind it before anything else does, but for what closes a line."""
    if begin <= at < end:
        return True
    between = [t for t in found.tokens if end <= t.at < at and t.kind not in ("layout", ".", ",", ";", "quad", "text")]
    return at >= end and not between
