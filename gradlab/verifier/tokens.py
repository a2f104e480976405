r"""LaTeX mathematics as tokens, each with its place; what only presents (\left, \color, \quad, …) is set aside.

A token keeps the offset in its span at which it begins and ends, whatever was set aside around it; a token that comes
out of a macro has the place at which the macro was called.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from gradlab.verifier.shapes import Trouble

MOST_TOKENS = 60_000


class Token(NamedTuple):
    """One token. kind: "name", "number", "rel", "op", "fn", "big", "text", … or, for a mark, the mark itself.

    text: what it stands for, spelled in one way. style: "b" bold, "c" calligraphic, "w" a word in roman, "" italic.
    """

    kind: str
    text: str
    at: int
    end: int
    style: str = ""


_UNICODE = {
    "∂": r"\partial", "⊙": r"\odot", "·": r"\cdot", "×": r"\times", "∘": r"\circ", "≈": r"\approx", "≤": r"\le",
    "≥": r"\ge", "≠": r"\ne", "→": r"\to", "∈": r"\in", "≡": r"\equiv", "−": "-", "–": "-", "∑": r"\sum",
    "Σ": r"\Sigma",
    "∇": r"\nabla", "…": r"\dots", "≔": ":=", "⊤": r"\top", "＝": "=", "∏": r"\prod", "∞": r"\infty", "∝": r"\propto",
    "ℝ": r"\mathbb{R}", "⊗": r"\otimes", "√": r"\sqrt", "≜": r"\triangleq", "′": "'", "’": "'", "‖": r"\|",
    "≅": r"\cong",
    "⇔": r"\Leftrightarrow", "⇒": r"\Rightarrow", "≃": r"\simeq", "⟨": r"\langle", "⟩": r"\rangle",
}  # fmt: skip
_GREEK_LETTERS = (
    "alpha beta gamma delta epsilon varepsilon zeta eta theta vartheta iota kappa lambda mu nu xi pi rho varrho sigma "
    "varsigma tau upsilon phi varphi chi psi omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega ell infty"
).split()
GREEK = frozenset(_GREEK_LETTERS)
_UNICODE |= dict(zip("αβγδϵεζηθϑικλμνξπρϱσςτυϕφχψω", [rf"\{name}" for name in _GREEK_LETTERS[:29]], strict=False))
_UNICODE |= dict(zip("ΓΔΘΛΞΠΥΦΨΩ", [rf"\{n}" for n in "Gamma Delta Theta Lambda Xi Pi Upsilon Phi Psi Omega".split()],
                     strict=False))  # fmt: skip

_SCAN = re.compile(
    r"\\[A-Za-z]+\*?|\\.|&#(?P<code>\d+);|&(?P<entity>lt|gt|amp|equals);|(?:\d+(?:\.\d+)?|\.\d+)|[A-Za-z]+(?:\\_[A-Za-z]+)*\d*|:=|==|<=|>=|\.\.\."
    r"|\|\||\S",
    re.DOTALL,
)
_DROPPED = frozenset(
    "left right big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr bigm Bigm middle displaystyle textstyle "
    "scriptstyle limits nolimits nonumber notag small large "
    "Large tiny normalsize footnotesize mathstrut strut displaylimits "
    "protect hfill centering hline allowbreak relax noindent bigskip medskip smallskip qedhere".split()
)
_SPACES = frozenset(
    (r"\space", r"\,", r"\;", r"\:", r"\!", r"\ ", "~", r"\>", r"\/", r"\-", r"\enspace", r"\thinspace", "\\\n")
)
_DROPPED_WITH_ARGUMENT = frozenset(
    "color hspace vspace phantom vphantom hphantom ref eqref cite index footnote intertext rule".split()
)
_KEPT_ARGUMENT = frozenset(
    "boxed mathop mathbin mathrel ensuremath smash "
    "mathord mathopen mathclose cancel underline mathrlap mathclap".split()
)
_STYLES = dict.fromkeys("mathbf boldsymbol bm pmb mathbold symbf".split(), "b")
_STYLES |= dict.fromkeys("mathcal mathscr mathfrak".split(), "c")
_STYLES |= dict.fromkeys("mathrm text textrm textit textbf textnormal mathit mathsf mathtt operatorname mbox "
                         "hbox mathbb mathds textsf texttt".split(), "w")  # fmt: skip
_PROSE = frozenset("text textrm textit textbf textnormal mbox hbox textsf texttt".split())
_ACCENTS = frozenset(
    "hat tilde bar vec dot ddot check widehat widetilde overline overrightarrow overleftarrow mathring breve".split()
)
FUNCTIONS = frozenset(
    "sigma tanh exp log ln sin cos tan sinh cosh sqrt "
    "sigmoid logistic softmax relu softplus max min det sign sgn diag tr "
    "trace arctan erf argmax argmin lim vec rank sech logsumexp "
    "lse concat onehot sum mean inf sup Pr var cov KL".split()
)
_UPRIGHT = {"sigm": "sigmoid", "ReLU": "relu", "ReLu": "relu", "Softmax": "softmax", "Tr": "trace", "Diag": "diag",
            "tr": "trace", "ln": "log", "logistic": "sigmoid", "lse": "logsumexp", "LogSumExp": "logsumexp",
            "LSE": "logsumexp", "sgn": "sign", "Sigmoid": "sigmoid", "softMax": "softmax"}  # fmt: skip
_COMMAND_FUNCTIONS = FUNCTIONS - {"sigma", "var", "KL", "cov", "rank", "mean", "sum"}
_RELATIONS = {"=": "=", ":=": ":=", "==": "=", "<": "<", ">": ">", "<=": "<=", ">=": ">="}
_RELATIONS |= {
    rf"\{command}": sign
    for sign, commands in {
        "<=": "le leq leqslant", ">=": "ge geq geqslant", "<": "lt ll", ">": "gt gg", "!=": "ne neq",
        "~": "approx simeq",
        "cong": "cong", "sim": "sim", "prop": "propto", ":=": "equiv coloneqq coloneq triangleq doteq Coloneqq",
        "to": "to rightarrow longrightarrow mapsto", "implies": "Rightarrow implies Longrightarrow", "in": "in notin",
        "iff": "iff leftrightarrow Leftrightarrow", "gets": "leftarrow gets", "subset": "subset subseteq",
    }.items()
    for command in commands.split()
}  # fmt: skip
_OPERATORS = {"+": "+", "-": "-", "/": "/", "*": "*"}
_OPERATORS |= {r"\times": "x", r"\cdot": ".", r"\odot": "o", r"\circ": "o", r"\bigodot": "o", r"\otimes": "kron",
               r"\ast": "*", r"\star": "*", r"\bullet": ".", r"\div": "/", r"\cdotp": ".", r"\pm": "pm", r"\mp": "pm",
               r"\oplus": "oplus"}  # fmt: skip
_MARKS = {"{": "{", "}": "}", "(": "(", ")": ")", "[": "[", "]": "]", "_": "_", "^": "^", "&": "&", ",": ",", ";": ";",
          ":": ":", "'": "'", "?": "?", "!": "!", "|": "|", r"\{": r"\{", r"\}": r"\}", r"\lbrace": r"\{",
          r"\rbrace": r"\}", r"\lbrack": "[", r"\rbrack": "]", r"\langle": "<(", r"\rangle": ")>", r"\\": "newline",
          r"\newline": "newline", r"\cr": "newline", r"\|": "||", r"\lVert": "||", r"\rVert": "||", r"\Vert": "||",
          "||": "||", r"\lvert": "|", r"\rvert": "|", r"\vert": "|", r"\mid": "|", r"\partial": "partial",
          r"\nabla": "nabla", r"\frac": "frac", r"\dfrac": "frac", r"\tfrac": "frac", r"\cfrac": "frac",
          r"\sqrt": "sqrt", r"\top": "top", r"\intercal": "top", r"\prime": "'", r"\quad": "quad", r"\qquad": "quad",
          r"\dd": "d", r"\odif": "d", r"\binom": "binom", r"\lfloor": "[", r"\rfloor": "]", r"\colon": ":"}  # fmt: skip
_MARKS |= dict.fromkeys(
    [rf"\{dots}" for dots in "dots ldots cdots dotsc dotsb vdots ddots hdots dotsm dotso".split()], "dots"
)
_MATRICES = frozenset("bmatrix pmatrix matrix cases array vmatrix smallmatrix Bmatrix Vmatrix substack dcases".split())
_LAYOUTS = frozenset(
    "align aligned alignat alignedat flalign gather gathered "
    "equation eqnarray multline split displaymath math subequations"
    .split()
)  # fmt: skip
_FREE_COLUMNS = frozenset("align aligned alignat alignedat flalign".split())
_BLANK = re.compile(r"\s+")


def scan(text: str) -> list[Token]:
    """The raw tokens of a text: kind "raw", spelled as in LaTeX."""
    found: list[Token] = []
    for match in _SCAN.finditer(text):
        word = match[0]
        if match["code"]:
            word = chr(int(match["code"][:6])) if 32 < int(match["code"][:6]) < 0x110000 else " "
        elif match["entity"]:
            word = {"lt": "<", "gt": ">", "amp": "&", "equals": "="}[match["entity"]]
        elif word.startswith("\\") and word[1:2].isalpha():
            word = word.rstrip("*")
        elif "\\_" in word:
            word = word.replace("\\_", "_")
        word = _UNICODE.get(word, word)
        at, end = match.span()
        parts = [word] if word not in _UNICODE.values() or "{" not in word else ["\\mathbb", "{", "R", "}"]
        found += [Token("raw", part, at, end) for part in parts if part.strip() or part == "\\\n"]
    return found


def expanded(tokens: list[Token], macros: Mapping[str, tuple[int, str]], depth: int = 0) -> list[Token]:
    """The tokens with every macro in the place of which it stands.

    Raises:
        Trouble: the macros expand without end.
    """
    if not macros or not any(token.text[1:] in macros for token in tokens if token.text.startswith("\\")):
        return tokens
    if depth > 20:
        raise Trouble("syntax", "the macros expand without end", tokens[0].at)
    found: list[Token] = []
    index = 0
    while index < len(tokens):
        token = tokens[index]
        index += 1
        if not token.text.startswith("\\") or token.text[1:] not in macros:
            found.append(token)
            continue
        count, body = macros[token.text[1:]]
        arguments: list[list[Token]] = []
        for _ in range(count):
            inner, index = argument(tokens, index)
            arguments.append(inner)
        found += _filled(body, arguments, token)
        if len(found) > MOST_TOKENS:
            raise Trouble("syntax", "the macros expand without end", token.at)
    return expanded(found, macros, depth + 1)


def _filled(body: str, arguments: list[list[Token]], call: Token) -> list[Token]:
    found: list[Token] = []
    for piece in re.split(r"(#\d)", body):
        if re.fullmatch(r"#\d", piece):
            number = int(piece[1]) - 1
            found += arguments[number] if number < len(arguments) else []
        else:
            found += [token._replace(at=call.at, end=call.end) for token in scan(piece)]
    return found


def argument(tokens: list[Token], index: int) -> tuple[list[Token], int]:
    """What a command takes that stands before `index`: a group's inside or one token; and where it goes on."""
    if index >= len(tokens):
        return [], index
    if tokens[index].text != "{":
        return tokens[index : index + 1], index + 1
    depth = 0
    for at in range(index, len(tokens)):
        depth += (tokens[at].text == "{") - (tokens[at].text == "}")
        if depth == 0:
            return tokens[index + 1 : at], at + 1
    raise Trouble("syntax", "`{` is not closed: wanted `}`", tokens[index].at)


class Tokens(NamedTuple):
    """The tokens of a span, and its labels with their places."""

    tokens: list[Token]
    labels: list[tuple[int, str]]


def read(text: str, macros: Mapping[str, tuple[int, str]]) -> Tokens:
    """The tokens of a span.

    Raises:
        Trouble: a brace that does not close, an environment that is unknown or does not close.
    """
    reader = _Cleaner(text)
    reader.clean(expanded(scan(text), macros))
    if reader.opened:
        name, at, _ = reader.opened[-1]
        raise Trouble("syntax", rf"\begin{{{name}}} is not closed", at)
    return Tokens(reader.found, reader.labels)


class _Cleaner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.found: list[Token] = []
        self.labels: list[tuple[int, str]] = []
        self.opened: list[tuple[str, int, bool]] = []

    def add(self, kind: str, text: str, token: Token, style: str = "") -> None:
        self.found.append(Token(kind, text, token.at, token.end, style))

    def clean(self, tokens: list[Token], style: str = "") -> None:
        index = 0
        while index < len(tokens):
            index = self.step(tokens, index, style)

    def step(self, tokens: list[Token], index: int, style: str) -> int:
        """Take the token at an index, and say where to go on."""
        token = tokens[index]
        text = token.text
        index += 1
        if text.startswith("\\") and text[1:2].isalpha():
            done = self.command(tokens, index, token, text[1:], style)
            if done is not None:
                return done
        if text in _SPACES:
            return index
        if text in _RELATIONS:
            self.add("rel", _RELATIONS[text], token)
        elif text in _OPERATORS:
            self.add("op", _OPERATORS[text], token)
        elif text in _MARKS:
            self.add(_MARKS[text], text, token)
            if _MARKS[text] == "newline" and index < len(tokens) and tokens[index].text == "[":
                closing = next((at for at in range(index, len(tokens)) if tokens[at].text == "]"), index)
                index = closing + 1 if closing - index < 6 else index
        elif text == "...":
            self.add("dots", text, token)
        elif text[0].isdigit() or (text[0] == "." and len(text) > 1):
            self.add("number", text, token)
        elif text[0].isascii() and text[0].isalpha():
            self.add("word" if len(text) > 1 and style in ("", "w") else "name", text, token, style)
        elif text[0] == "\\" and text[1:] in GREEK:
            self.add("name", text[1:], token, style)
        elif text == ".":
            self.add(".", text, token)
        elif text[0] == "\\" and text[1:].isalpha():
            self.add("name", text, token, "?")
        else:
            raise Trouble("syntax", f"unexpected character {text!r}", token.at)
        return index

    def command(self, tokens: list[Token], index: int, token: Token, name: str, style: str) -> int | None:
        """Take a command that is no mere sign; None if it is one."""
        if name in _DROPPED:
            return index + (index < len(tokens) and tokens[index].text == "." and name in ("left", "right", "middle"))
        if name in ("tag", "label"):
            inner, after = argument(tokens, index)
            if name == "tag" and inner:
                label = self.text[inner[0].at : inner[-1].end].strip().replace("\\_", "_")
                self.labels.append((token.at, label))
            return after
        if name in _DROPPED_WITH_ARGUMENT:
            if index < len(tokens) and tokens[index].text == "[":
                index = next((at for at in range(index, len(tokens)) if tokens[at].text == "]"), index) + 1
            return argument(tokens, index)[1]
        if name in ("textcolor", "colorbox"):
            return self.grouped(tokens, argument(tokens, index)[1], token, style)
        if name in _KEPT_ARGUMENT:
            return self.grouped(tokens, index, token, style)
        if name in ("underbrace", "overbrace"):
            index = self.grouped(tokens, index, token, style)
            while index < len(tokens) and tokens[index].text in "_^":
                index = argument(tokens, index + 1)[1]
            return index
        if name in ("overset", "stackrel", "underset"):
            return self.stacked(tokens, index, token, name)
        if name in ("begin", "end"):
            return self.environment(tokens, index, token, name)
        if name in _ACCENTS:
            short = {"widehat": "hat", "widetilde": "tilde", "overrightarrow": "vec", "overleftarrow": "back"}.get(
                name, name
            )
            self.add("accent", short, token)
            return self.grouped(tokens, index, token, style)
        if name in _STYLES:
            return self.styled(tokens, index, token, name)
        if name in ("sum", "prod", "int"):
            self.add("big", name, token)
            return index
        if name == "not":
            self.add("rel", "!=", token)
            return index + 1
        if name in ("bf", "rm", "it", "cal", "tt"):
            return index
        if name in _COMMAND_FUNCTIONS and name != "sqrt":
            self.add("fn", _UPRIGHT.get(name, name), token)
            return index
        return None

    def grouped(self, tokens: list[Token], index: int, token: Token, style: str) -> int:
        inner, after = argument(tokens, index)
        if not inner:
            raise Trouble("syntax", f"nothing stands behind {token.text}", token.at)
        self.add("{", "{", token)
        self.clean(inner, style)
        self.add("}", "}", inner[-1])
        return after

    def stacked(self, tokens: list[Token], index: int, token: Token, name: str) -> int:
        over, index = argument(tokens, index)
        under, index = argument(tokens, index)
        if len(under) == 1 and under[0].text in _RELATIONS:
            sign = _RELATIONS[under[0].text]
            self.add("rel", ":=" if name != "underset" and sign == "=" and _defines(over) else sign, token)
            return index
        self.clean(under)
        if name == "underset":
            self.add("_", "_", token)
            self.add("{", "{", token)
            self.clean(over)
            self.add("}", "}", token)
        return index

    def environment(self, tokens: list[Token], index: int, token: Token, which: str) -> int:
        inner, index = argument(tokens, index)
        name = "".join(part.text for part in inner).rstrip("*")
        if name not in _MATRICES and name not in _LAYOUTS:
            raise Trouble("syntax", f"unknown environment {name or '(none)'}", token.at)
        if which == "begin":
            self.opened.append((name, token.at, name in _MATRICES))
            if len(self.opened) > 100:
                raise Trouble("syntax", "the equation is nested too deeply to be read", token.at)
            if name in ("array", "alignat", "alignedat") and index < len(tokens) and tokens[index].text == "{":
                index = argument(tokens, index)[1]
            elif index + 2 < len(tokens) and tokens[index].text == "[" and tokens[index + 2].text == "]":
                index += 3
        elif not self.opened or self.opened.pop()[0] != name:
            raise Trouble("syntax", rf"\end{{{name}}} closes no \begin{{{name}}}", token.at)
        if name in _MATRICES:
            self.add(which, name, token)
        else:
            self.add("layout", "columns" if name in _FREE_COLUMNS else name, token, which)
        return index

    def styled(self, tokens: list[Token], index: int, token: Token, name: str) -> int:
        inner, after = argument(tokens, index)
        begin, end = (inner[0].at, inner[-1].end) if inner else (token.end, token.end)
        whole = Token("raw", "", token.at, max(token.end, tokens[after - 1].end))
        word = _BLANK.sub(" ", self.text[begin:end]).strip(" ,.:;~") if inner and begin >= token.end else ""
        word = word or " ".join(part.text for part in inner).strip(" ,.:;~")
        if not word:
            return after
        if name in _PROSE and not _is_one_word(word):
            self.add("text", word, whole)
        elif word in ("T", "top", r"\top") and name != "mathbf" and _STYLES[name] == "w" and self.after_script(inner):
            self.add("top", "top", whole)
        elif word == "d" and name in ("mathrm", "operatorname", "text"):
            self.add("d", "d", whole)
        elif word == "1" and name in ("mathbf", "boldsymbol", "mathbb", "bm", "mathds", "pmb"):
            self.add("ones", "1", whole)
        elif name in ("mathbb", "mathds") or (name == "mathcal" and word in ("N", "U")):
            self.add("set", word, whole)
        elif _STYLES[name] == "w" and (_UPRIGHT.get(word, word) in FUNCTIONS):
            self.add("fn", _UPRIGHT.get(word, word), whole)
        elif _STYLES[name] == "w" and _is_one_word(word):
            self.add("name", word.replace("\\_", "_").replace("-", "_").replace(" ", "_"), whole, "w")
        elif len(inner) == 1 and (inner[0].text.isalnum() or inner[0].text[1:] in GREEK):
            self.add("name", inner[0].text.lstrip("\\"), whole, _STYLES[name])
        else:
            return self.grouped(tokens, index, token, _STYLES[name])
        return after

    def after_script(self, inner: list[Token]) -> bool:
        """Whether a roman T stands as a superscript, where it is the transpose."""
        before = [token.kind for token in self.found[-2:]]
        return before[-1:] == ["^"] or before == ["^", "{"] or (len(before) == 2 and before[-1] in (")", "{", ">"))


def _is_one_word(word: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z0-9_\\-]*(?: \d+)?", word)) and word not in SEPARATORS


def _defines(over: list[Token]) -> bool:
    return "".join(token.text for token in over).replace("\\text{", "") in ("def", r"\Delta", r"\triangle", "!") or any(
        token.text in ("def", r"\Delta", "\\triangle") for token in over
    )


SEPARATORS = frozenset(
    "and or where if for with let so then otherwise since "
    "as Let thus hence therefore iff when but by because else while "
    "And Or Where If For With Then Thus Hence using from".split()
)
