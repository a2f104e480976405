r"""From the tokens of one side of an equation to its syntax tree.

Juxtaposition binds tightest, as it is set; then ⊙, ×, · and * from the left; then + and -. What `f(…)`, a script and a
run of letters mean depends on the document, and is decided in meaning.py: a tree keeps them as they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from gradlab.verifier.shapes import Trouble
from gradlab.verifier.tokens import FUNCTIONS, Token

OPENING = {"(": ")", "[": "]", "{": "}", r"\{": r"\}", "<(": ")>"}
_STOPS = frozenset(
    (")", "]", "}", r"\}", ")>", ",", ";", ":", "&", "newline", "quad", "text", "?", "end", "!", ".", "rel")
)


@dataclass(frozen=True)
class Node:
    """A syntax tree. kind, value and children depend on each other:

    number(Fraction), name(text; style), ones, scripts(base; [(mark, tokens)], primes), call(f, *arguments),
    fn(*arguments; name, primes, power tokens), group(inner; bracket), list(*items; bracket), neg, add, sub, mul(sign),
    div, pow(base, exponent), derivative(of, by; whether it is immediate, or "total" where it is written with d),
    big(body; name, below, above),
    norm(inner; kind), sqrt, matrix(*rows; name), dots, text, set, at(inner; tokens).
    """

    kind: str
    at: int
    end: int
    children: tuple[Node, ...] = ()
    value: Any = field(default=None)


def walk(node: Node) -> Iterator[Node]:
    """The node and every node below it, those in scripts excluded."""
    yield node
    for child in node.children:
        yield from walk(child)


def parse(tokens: list[Token], words: frozenset[str], flat: bool = False) -> Node:
    """The syntax tree of tokens.

    Args:
        tokens: those of one side, without a relation.
        words: the runs of letters that are names; others are products of their letters.
        flat: read all products as binding equally, from the left.

    Raises:
        Trouble: kind "syntax": what was found, where, and what was wanted.
    """
    if not tokens:
        raise Trouble("syntax", "nothing stands here: wanted a term")
    parser = _Parser(_split(tokens, words), flat, words)
    node = parser.expression()
    if parser.index < len(parser.tokens):
        parser.unexpected("an operator")
    return node


def _split(tokens: list[Token], words: frozenset[str]) -> list[Token]:
    found: list[Token] = []
    for token in tokens:
        if token.kind != "word" or token.text in words or token.style == "w":
            found.append(token._replace(kind="name") if token.kind == "word" else token)
            continue
        letters = token.text.rstrip("0123456789")
        for offset, letter in enumerate(letters):
            found.append(Token("name", letter, token.at + offset, token.at + offset + 1, token.style))
        if len(letters) < len(token.text):
            last = found.pop()
            found.append(last._replace(text=last.text + token.text[len(letters) :], end=token.end))
    return found


class _Parser:
    def __init__(self, tokens: list[Token], flat: bool, words: frozenset[str]) -> None:
        self.tokens, self.index, self.flat, self.words = tokens, 0, flat, words
        self.bars = 0

    def peek(self, ahead: int = 0) -> Token:
        index = self.index + ahead
        if index < len(self.tokens):
            return self.tokens[index]
        end = self.tokens[-1].end if self.tokens else 0
        return Token("", "", end, end)

    def take(self) -> Token:
        token = self.peek()
        self.index += 1
        return token

    def unexpected(self, wanted: str) -> None:
        token = self.peek()
        what = f"unexpected `{token.text}`" if token.kind else "the equation ends"
        raise Trouble("syntax", f"{what}: wanted {wanted}", token.at)

    def is_sign(self, *signs: str) -> bool:
        token = self.peek()
        return token.kind == "op" and token.text in signs

    def expression(self) -> Node:
        negative, first = False, self.peek()
        while self.is_sign("+", "-"):
            negative ^= self.take().text == "-"
        node = self.term()
        if negative:
            node = Node("neg", first.at, node.end, (node,))
        while self.is_sign("+", "-", "pm"):
            sign = self.take().text
            if sign == "pm":
                raise Trouble("syntax", "± says two things at once: write them as two equations", self.peek().at)
            flipped = False
            while self.is_sign("+", "-"):
                flipped ^= self.take().text == "-"
            right = self.term()
            right = Node("neg", right.at, right.end, (right,)) if flipped else right
            node = Node("add" if sign == "+" else "sub", node.at, right.end, (node, right))
        return node

    def term(self) -> Node:
        node = self.chain()
        while (self.peek().kind == "op" and self.peek().text in ("x", ".", "o", "*", "kron", "/")) or self.is_dot():
            sign = self.take().text
            negative = False
            while self.is_sign("+", "-"):
                negative ^= self.take().text == "-"
            right = self.factor_of_sum() if self.flat else self.chain()
            if negative:
                right = Node("neg", right.at, right.end, (right,))
            kind = "div" if sign == "/" else "mul"
            node = Node(kind, node.at, right.end, (node, right), "." if sign in (".",) else sign)
            if self.flat:
                node = self.chain(node)
        return node

    def is_dot(self) -> bool:
        return self.peek().kind == "." and self.peek(1).kind not in ("", ".", "rel") and self.starts(1)

    def factor_of_sum(self) -> Node:
        return self.big() if self.peek().kind == "big" else self.factor()

    def chain(self, node: Node | None = None) -> Node:
        """A product by juxtaposition, in which a / b is one factor."""
        factors = [node or self.factor()]
        while True:
            if self.is_sign("/") and self.starts(1):
                self.take()
                below = self.factor()
                above = factors.pop()
                factors.append(Node("div", above.at, below.end, (above, below), "/"))
            elif self.starts():
                factors.append(self.factor())
            else:
                break
        found = factors[0]
        for factor in factors[1:]:
            found = Node("mul", found.at, factor.end, (found, factor), "")
        return found

    def starts(self, ahead: int = 0) -> bool:
        """Whether a factor begins at a token."""
        token = self.peek(ahead)
        if token.kind in ("|", "||"):
            if token.kind == "|" and self.peek(ahead + 1).kind == "_":
                return False
            return not self.bars and any(each.kind == token.kind for each in self.tokens[self.index + ahead + 1 :])
        return bool(token.kind) and token.kind not in (*_STOPS, "op", "_", "^", "'")

    def factor(self) -> Node:
        node = self.fraction_of_groups() or self.scripts(self.atom())
        while self.peek().kind == "|" and self.peek(1).kind == "_":
            self.take()
            self.take()
            below = self.argument()
            node = Node("at", node.at, self.peek(-1).end, (node,), below)
        return node

    def fraction_of_groups(self) -> Node | None:
        r"""{\partial L}/{\partial W}, if it stands here."""
        if self.peek().kind != "{" or self.peek(1).kind not in ("partial", "d"):
            return None
        begin, token = self.index, self.peek()
        above = self.argument()
        if self.is_sign("/") and self.peek(1).kind == "{" and self.peek(2).kind in ("partial", "d"):
            self.take()
            below = self.argument()
            return self.derivative(token, above[1:], below[1:], self.peek(-1).end)
        self.index = begin
        return None

    def argument(self) -> list[Token]:
        """The tokens of a script or an argument: a group's inside, or one token."""
        if self.peek().kind != "{":
            if not self.peek().kind:
                self.unexpected("what stands there")
            return [self.take()]
        depth, start = 0, self.index + 1
        while self.index < len(self.tokens):
            token = self.take()
            depth += (token.kind == "{") - (token.kind == "}")
            if depth == 0:
                return self.tokens[start : self.index - 1]
        raise Trouble("syntax", "`{` is not closed: wanted `}`", self.tokens[start - 1].at)

    def sub(self, tokens: list[Token], at: int) -> Node:
        if not tokens:
            raise Trouble("syntax", "nothing stands between the braces: wanted a term", at)
        inner = _Parser(tokens, self.flat, self.words)
        node = inner.expression()
        if inner.index < len(tokens):
            inner.unexpected("an operator")
        return node

    def scripts(self, node: Node) -> Node:
        found: list[tuple[str, tuple[Token, ...]]] = []
        primes = 0
        while self.peek().kind in ("_", "^", "'"):
            mark = self.take().kind
            if mark == "'":
                primes += 1
                continue
            inner = tuple(self.argument())
            if mark == "^" and inner and all(token.kind == "'" for token in inner):
                primes += len(inner)
            else:
                found.append((mark, inner))
        if found or primes:
            node = Node("scripts", node.at, self.peek(-1).end, (node,), (tuple(found), primes))
        if self.peek().kind == "!":
            raise Trouble("syntax", "a factorial is not read", self.peek().at)
        if self.peek().kind in ("(", "<(") and _is_callable(node):
            return self.scripts(self.call(node))
        return node

    def call(self, node: Node) -> Node:
        closing = OPENING[self.take().kind]
        arguments: list[Node] = []
        while self.peek().kind != closing:
            arguments.append(self.item())
            if self.peek().kind in (",", ";", "|", ":"):
                if self.peek().kind in ("|", ":"):
                    raise Trouble("aside", "a conditional probability", self.peek().at)
                self.take()
            elif self.peek().kind != closing:
                self.unexpected(f"an operator, `{closing}`")
        self.take()
        return Node("call", node.at, self.peek(-1).end, (node, *arguments))

    def item(self) -> Node:
        if self.peek().kind == "dots":
            token = self.take()
            return Node("dots", token.at, token.end)
        node = self.expression()
        if self.peek().kind == "rel":
            sign = self.take()
            right = self.expression()
            node = Node("relation", node.at, right.end, (node, right), sign.text)
        return node

    def atom(self) -> Node:
        token = self.peek()
        read: Callable[[], Node] | None = getattr(self, f"_{_ATOMS.get(token.kind, '')}", None)
        if read is None:
            self.unexpected("a term")
            raise AssertionError
        return read()

    def _number(self) -> Node:
        token = self.take()
        if len(token.text) > 40:
            raise Trouble("syntax", f"a number of {len(token.text)} digits: at most 40 are read", token.at)
        return Node("number", token.at, token.end, (), Fraction(token.text))

    def _name(self) -> Node:
        token = self.take()
        is_function = token.text in FUNCTIONS and len(token.text) > 2 and token.text != "sigma" and not token.style
        if is_function and self.peek().kind == "(":
            self.index -= 1
            return self._fn()
        return Node("name", token.at, token.end, (), (token.text, token.style))

    def _accent(self) -> Node:
        accent = self.take()
        inner = self.argument()
        names = [each for each in inner if each.kind in ("name", "word")]
        if len(inner) == 1 and names:
            text = f"{names[0].text}_{accent.text}"
            return Node("name", accent.at, inner[-1].end + 1, (), (text, names[0].style))
        plain = _flattened(inner)
        if names and inner[0] is names[0] and plain is not None:  # \hat{y_t} is \hat{y}_t
            base = Node("name", accent.at, names[0].end, (), (f"{names[0].text}_{accent.text}", names[0].style))
            rest = _Parser(inner[1:], self.flat, self.words)
            return rest.scripts(base)
        raise Trouble("syntax", rf"\{accent.text} over more than a name", accent.at)

    def _ones(self) -> Node:
        token = self.take()
        return Node("ones", token.at, token.end)

    def _group(self) -> Node:
        opening = self.take()
        closing = OPENING[opening.kind]
        if self.peek().kind == closing:
            raise Trouble("syntax", f"nothing stands between `{opening.text}` and `{self.peek().text}`", opening.at)
        before, self.bars = self.bars, 0
        items = [self.item()]
        while self.peek().kind in (",", ";"):
            self.take()
            items.append(self.item())
        if self.peek().kind == ")" and opening.kind == "[":  # [0, 1)
            closing = ")"
        if self.peek().kind != closing:
            self.unexpected(f"an operator, `{closing.lstrip(chr(92))}`")
        self.take()
        self.bars = before
        end = self.peek(-1).end
        if len(items) > 1:
            return Node("list", opening.at, end, tuple(items), opening.kind)
        if items[0].kind == "relation":
            return Node("indicator", opening.at, end, items[0].children, items[0].value)
        return Node("group", opening.at, end, tuple(items), opening.kind)

    def _norm(self) -> Node:
        bar = self.take()
        self.bars += 1
        inner = self.expression()
        self.bars -= 1
        if self.peek().kind != bar.kind:
            self.unexpected(f"`{bar.text}`")
        return Node("norm", bar.at, self.take().end, (inner,), bar.kind)

    def _sqrt(self) -> Node:
        token = self.take()
        if self.peek().kind == "[":
            raise Trouble("syntax", r"a root of another degree is not read: write a power, such as x^{1/3}", token.at)
        inner = self.argument()
        return Node("sqrt", token.at, self.peek(-1).end, (self.sub(inner, token.at),))

    def _fn(self) -> Node:
        """A function: its primes, its power, its arguments in parentheses, or one factor behind it."""
        token = self.take()
        name, primes = token.text, 0
        power: tuple[Token, ...] = ()
        below: tuple[Token, ...] = ()
        while self.peek().kind in ("'", "^", "_"):
            mark = self.take().kind
            if mark == "'":
                primes += 1
                continue
            inner = tuple(self.argument())
            if mark == "_":
                below = inner
            elif inner and all(each.kind == "'" for each in inner):
                primes += len(inner)
            else:
                power = inner
        if self.peek().kind == "(":
            call = self.call(Node("name", token.at, token.end, (), (name, "")))
            arguments = call.children[1:]
        elif self.starts():
            inner_node = self.factor()
            arguments = inner_node.children if inner_node.kind in ("group", "list") else (inner_node,)
        else:
            arguments = ()  # a function by itself, such as \sigma = \tanh
        return Node("fn", token.at, self.peek(-1).end, tuple(arguments), (name, primes, power, below))

    def big(self) -> Node:
        token = self.take()
        below: tuple[Token, ...] = ()
        above: tuple[Token, ...] = ()
        while self.peek().kind in ("_", "^"):
            if self.take().kind == "_":
                below = tuple(self.argument())
            else:
                above = tuple(self.argument())
        if token.text == "int":
            raise Trouble("aside", "an integral", token.at)
        body = self.term()
        return Node("big", token.at, body.end, (body,), (token.text, below, above))

    # Derivatives.

    def _frac(self) -> Node:
        token = self.take()
        first = self.peek()
        if first.kind == "number" and len(first.text) == 2 and self.peek().kind != "{":  # \frac12
            self.take()
            if first.text[1] == "0":
                raise Trouble("syntax", "a division by 0", token.at)
            return Node("number", token.at, first.end, (), Fraction(int(first.text[0]), int(first.text[1])))
        over = self.argument()
        under = self.argument()
        end = self.peek(-1).end
        above, below = _differential(over), _differential(under)
        if (
            above is not None
            and below is not None
            and (_is_partial(over) or _is_partial(under) or _both_d(over, under))
        ):
            return _totalled(self.derivative(token, above, below, end), over[0].kind != "partial")
        return Node("div", token.at, end, (self.sub(over, token.at), self.sub(under, token.at)), "frac")

    def derivative(self, token: Token, above: list[Token], below: list[Token], end: int) -> Node:
        immediate = False
        if above[:1] and above[0].kind == "^":
            inner, rest = _script(above)
            if [each.text for each in inner] == ["+"]:
                immediate, above = True, rest
            else:
                raise Trouble("cannot tell", "a second derivative is not judged", token.at)
        if below[:1] and below[0].kind == "^" and [each.text for each in _script(below)[0]] == ["+"]:
            below = _script(below)[1]
        if not below:
            self.index = min(self.index, len(self.tokens))
            raise Trouble("syntax", "nothing stands below ∂: wanted a symbol", token.at)
        by = self.sub(below, token.at)
        if above:
            of = self.sub(above, token.at)
        elif self.starts():
            of = self.chain()
            end = of.end
        else:
            return Node("operator", token.at, end, (by,))
        return Node("derivative", token.at, end, (of, by), immediate)

    def _partial(self) -> Node:
        r"""∂L/∂W, or \partial_W L."""
        token = self.take()
        if self.peek().kind == "_":
            self.take()
            below = self.argument()
            by = self.sub(below, token.at)
            of = self.factor()
            return Node("derivative", token.at, of.end, (of, by), False)
        immediate = False
        if self.peek().kind == "^" and "+" in (self.peek(1).text, self.peek(2).text):
            self.take()
            self.argument()
            immediate = True
        of = self.factor()
        if self.is_sign("/") and self.peek(1).kind in ("partial", "d"):
            self.take()
            self.take()
            if self.peek().kind == "^":
                self.take()
                self.argument()
            by = self.factor()
            return Node("derivative", token.at, by.end, (of, by), immediate)
        raise Trouble("syntax", "∂ without what is differentiated by: wanted ∂L/∂W", token.at)

    def _nabla(self) -> Node:
        token = self.take()
        below: list[Token] = []
        while self.peek().kind in ("_", "^"):
            if self.take().kind == "_":
                below = self.argument()
            else:
                raise Trouble("cannot tell", "a second derivative is not judged", token.at)
        if not below:
            raise Trouble("cannot tell", r"∇ without what is differentiated by: wanted \nabla_W L", token.at)
        of = self.factor()
        return Node("derivative", token.at, of.end, (of, self.sub(below, token.at)), False)

    # Matrices.

    def _matrix(self) -> Node:
        begin = self.take()
        rows: list[list[list[Token]]] = [[[]]]
        depth = 0
        while True:
            token = self.peek()
            if not token.kind:
                raise Trouble("syntax", rf"\begin{{{begin.text}}} is not closed", begin.at)
            self.index += 1
            if token.kind == "end" and depth == 0:
                break
            depth += (token.kind in ("begin", "{")) - (token.kind in ("end", "}"))
            if token.kind == "newline" and depth == 0:
                rows.append([[]])
            elif token.kind == "&" and depth == 0:
                rows[-1].append([])
            else:
                rows[-1][-1].append(token)
        if begin.text in ("cases", "dcases"):
            return self.cases([row for row in rows if any(row)], begin)
        cells = [row for row in rows if any(row)]
        nodes = tuple(Node("row", begin.at, begin.end, tuple(self.cell(c, begin) for c in row)) for row in cells)
        return Node("matrix", begin.at, self.peek(-1).end, nodes, begin.text)

    def cases(self, rows: list[list[list[Token]]], begin: Token) -> Node:
        """Rows of a value and a condition: a relation, or words such as "otherwise"."""
        found = []
        for row in rows:
            value = [token for token in row[0] if token.kind not in ("quad", ",", "text")]
            words = [token.text for cell in row for token in cell if token.kind == "text"]
            condition = [token for cell in row[1:] for token in cell if token.kind not in ("quad", ",", ".", "text")]
            if not condition and not any(word.startswith(("otherwise", "else")) for word in words):
                raise Trouble("aside", "cases whose condition is not understood", begin.at)
            place = next((index for index, token in enumerate(condition) if token.kind == "rel"), None)
            if condition and place is None:
                raise Trouble("aside", "cases whose condition is not understood", begin.at)
            children = [self.sub(value, begin.at)]
            if place is not None:
                sides = (self.sub(condition[:place], begin.at), self.sub(condition[place + 1 :], begin.at))
                children.append(Node("indicator", begin.at, begin.end, sides, condition[place].text))
            found.append(Node("row", begin.at, begin.end, tuple(children)))
        return Node("cases", begin.at, self.peek(-1).end, tuple(found))

    def cell(self, tokens: list[Token], begin: Token) -> Node:
        tokens = [token for token in tokens if token.kind not in ("quad", ",")]
        if not tokens:
            raise Trouble("syntax", "an empty entry of a matrix", begin.at)
        if tokens[0].kind == "dots":
            return Node("dots", tokens[0].at, tokens[0].end)
        return self.sub(tokens, begin.at)

    def _dots(self) -> Node:
        token = self.take()
        return Node("dots", token.at, token.end)

    def _set(self) -> Node:
        token = self.take()
        return Node("set", token.at, token.end, (), token.text)

    def _big(self) -> Node:
        return self.big()

    def _d(self) -> Node:
        """A d in roman: a differential where / follows, else a name."""
        if self.peek(1).kind == "name":
            at = self.index
            token = self.take()
            of = self.factor()
            if self.is_sign("/") and self.peek(1).kind == "d":
                self.take()
                self.take()
                by = self.factor()
                return Node("derivative", token.at, by.end, (of, by), "total")
            self.index = at
        token = self.take()
        return Node("name", token.at, token.end, (), ("d", "w"))


_ATOMS = {"number": "number", "name": "name", "accent": "accent", "ones": "ones", "(": "group", "[": "group",
          "{": "group", r"\{": "group", "<(": "group", "|": "norm", "||": "norm", "sqrt": "sqrt", "fn": "fn",
          "big": "big", "frac": "frac", "partial": "partial", "nabla": "nabla", "begin": "matrix", "dots": "dots",
          "set": "set", "d": "d"}  # fmt: skip


def _is_callable(node: Node) -> bool:
    base = node.children[0] if node.kind == "scripts" else node
    if node.kind == "scripts":
        marks, _ = node.value
        if any(mark == "^" and _is_power(tokens) for mark, tokens in marks):
            return False
    return base.kind in ("name", "set") and base.kind != "group"


def _is_power(tokens: tuple[Token, ...]) -> bool:
    texts = [token.text for token in tokens]
    return texts in (["T"], [r"\top"], ["top"]) or any(token.kind == "top" for token in tokens) or (
        len(texts) == 1 and tokens[0].kind == "number"
    )  # fmt: skip


def _flattened(tokens: list[Token]) -> str | None:
    return "" if len(tokens) > 1 and tokens[1].kind in ("_", "^") else None


def _differential(tokens: list[Token]) -> list[Token] | None:
    """What stands behind the ∂ or d that tokens begin with; None if they begin with none."""
    if not tokens:
        return None
    first = tokens[0]
    if first.kind in ("partial", "d") or (first.kind == "name" and first.text == "d" and not first.style):
        return tokens[1:]
    if first.kind in ("word", "name") and first.text.startswith("d") and 2 <= len(first.text) <= 4 and not first.style:
        rest = first._replace(text=first.text[1:], at=first.at + 1, kind="name" if len(first.text) == 2 else "word")
        return [rest, *tokens[1:]]
    return None


def _totalled(node: Node, total: bool) -> Node:
    """A derivative that is written with d, which is total whatever ∂ means."""
    if not total or node.kind != "derivative" or node.value:
        return node
    return Node(node.kind, node.at, node.end, node.children, "total")


def _is_partial(tokens: list[Token]) -> bool:
    return tokens[0].kind in ("partial", "d")


def _both_d(over: list[Token], under: list[Token]) -> bool:
    return over[0].text.startswith("d") and under[0].text.startswith("d") and len(under) + len(under[0].text) > 2


def _script(tokens: list[Token]) -> tuple[list[Token], list[Token]]:
    """The tokens of the script that tokens begin with, and what follows."""
    if len(tokens) > 1 and tokens[1].kind == "{":
        depth = 0
        for index in range(1, len(tokens)):
            depth += (tokens[index].kind == "{") - (tokens[index].kind == "}")
            if depth == 0:
                return tokens[2:index], tokens[index + 1 :]
    return tokens[1:2], tokens[2:]
