"""The symbols of a document: how they are spelled, what is declared of them, what defines them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from gradlab.verifier.shapes import Shape, Trouble, shape_of
from gradlab.verifier.terms import Name, Term, Time

_ACCENT = re.compile(r"\\(hat|tilde|bar|vec|dot)\s*(?:\{([^{}]*)\}|([A-Za-z]))")
_WRAPPER = re.compile(r"\\(?:mathrm|text|mathbf|boldsymbol|mathit|mathcal|mathsf|operatorname|bm)\s*\{([^{}]*)\}")
_TIME_INSIDE = re.compile(r"\(\s*([A-Za-z]?)\s*((?:[+-]\s*\d{1,4})?)\s*\)(?=[\s}]*\Z)")
_PLAIN = re.compile(r"[A-Za-z]\w*")

MORE_STEPS = 2


@dataclass
class Symbol:
    """What a name stands for.

    kind: "given" (declared: takes random values), "forward" (computed from such), "derivative" (defined through ∂) or
    "function" (of `parameter`). A symbol that is `timed` has a value at every step; `before` lists the steps before 0
    at which it is declared. `body` is its definition's right-hand side, None for what is given or not yet defined.
    `space`: the names of its two sizes, where it is declared with such; () for a number. `indices`: the letters of a
    definition by entries, whose body is one entry. `values`: what a given symbol takes: "" (any), "one-hot",
    "probabilities", "positive", "identity" or "ones". `parameters`: those of a function of several arguments. `starts`:
    its values at single steps, where the document gives them; `ahead`: whether its values behind the last step are
    given; `shift`: how much later than the steps its definition holds.
    """

    name: str
    text: str
    shape: Shape
    kind: str = "given"
    timed: bool = False
    before: set[int] = field(default_factory=set)
    body: Term | None = None
    parameter: str = ""
    at_steps: bool = True
    space: tuple[str, ...] = ()
    indices: tuple[str, ...] = ()
    values: str = ""
    parameters: tuple[Name, ...] = ()
    starts: dict[int, Term] = field(default_factory=dict)
    ahead: bool = False
    shift: int = 0
    is_scalar: bool = False
    declared: bool = False


@dataclass
class Scope:
    """Everything declared and defined so far.

    first: the first step; base: the first value of an index; layout, strict: as in `shapes.Context`; partial: what ∂
    means, "total" or "immediate". In a strict scope what is not declared is undefined, and `=` always claims.
    conventions: what of this the document says; assumed, assumptions: what its front matter says of symbols, and the
    mathematics in it. arbitrary: functions and losses of which nothing is known but that they are smooth;
    labels_of_sizes: letters that name a size; totals: sizes that are sums of others; spans: those of what is indexed
    by i + k, which are sums and a constant.
    """

    sizes: dict[str, int] = field(default_factory=dict)
    steps: int = 5
    symbols: dict[str, Symbol] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)
    default_time: Time | None = None
    cell: str = ""
    labels: dict[str, str] = field(default_factory=dict)
    fixed: set[str] = field(default_factory=set)
    first: int = 0
    base: int = 1
    layout: str = "shape"
    partial: str = "total"
    product: str = "elementwise"
    conventions: set[str] = field(default_factory=set)
    assumed: list[tuple[str, tuple[str, ...] | None, str]] = field(default_factory=list)
    assumptions: list[tuple[str, int]] = field(default_factory=list)
    strict: bool = True
    indices: set[str] = field(default_factory=set)
    arbitrary: set[str] = field(default_factory=set)
    labels_of_sizes: set[str] = field(default_factory=set)
    totals: dict[str, tuple[str, ...]] = field(default_factory=dict)
    spans: dict[str, tuple[tuple[str, ...], int]] = field(default_factory=dict)

    def range(self) -> range:
        """The steps that there are."""
        return range(self.first, self.first + self.steps)

    @property
    def last(self) -> Time:
        """The last step, as a time."""
        return Time.of("T", self.first - 1)

    def clock(self, step: int | None) -> dict[str, int]:
        """What T stands for, and t at a step."""
        return {"T": self.steps} if step is None else {"T": self.steps, "t": step}

    def elsewhere(self) -> Scope:
        """The same symbols at more steps and at other sizes, but for those that are fixed."""
        free = [name for name in self.sizes if name not in self.fixed | set(self.totals) | set(self.spans)]
        values = [self.sizes[name] for name in free]
        moved = (
            values[1:] + values[:1] if len(set(values)) > 1 else [size - 1 if size > 2 else size + 1 for size in values]
        )
        sizes = self.sizes | dict(zip(free, moved, strict=True))
        for name, members in self.totals.items():
            sizes[name] = sum(sizes.get(member, 1) for member in members)
        for name, (parts, constant) in self.spans.items():
            sizes[name] = sum(sizes[part] for part in parts) + constant
        steps = self.steps if "T" in self.fixed else self.steps + MORE_STEPS
        other = replace(self, sizes=sizes, steps=steps, symbols={})
        for name, symbol in self.symbols.items():
            shape = Shape(tuple(int(size) if size.isdigit() else sizes[size] for size in symbol.space))
            if symbol.body is not None and symbol.kind != "function" and not symbol.space and self.strict:
                other.symbols[name] = symbol  # a definition may refer to itself at an earlier step
                with suppress(Trouble):
                    shape = shape_of(symbol.body, other)
            other.symbols[name] = replace(symbol, shape=shape)
        return other

    def find(self, name: str, spelling: str, at: int = 0) -> Symbol:
        """The symbol of a plain name, which the document spells so.

        Raises:
            Trouble: kind "undefined", with the nearest known spelling.
        """
        name = self.aliases.get(name, name)
        found = self.symbols.get(name)
        if found is None:
            near = nearest(name, self.symbols)
            hint = f"; the nearest known symbol is {self.symbols[near].text}" if near else ""
            raise Trouble("undefined", f"undefined symbol {spelling.strip()}{hint}", at)
        return found

    def shape_of_name(self, name: Name) -> Shape:
        return self.symbols[name.name].shape

    def shape_of_symbol(self, name: str) -> Shape:
        return self.symbols[name].shape


def canonical(spelling: str, at: int = 0) -> tuple[str, Time | None]:
    r"""The plain name of a LaTeX symbol, and the time that stands inside its subscript, if one does.

    "\hat{y}" is y_hat, "\delta_{net_{hidden\_explicit}(t)}" is delta_net_hidden_explicit at t, "\mathbf{W}_x" is W_x.

    Raises:
        Trouble: kind "syntax": the spelling is no name.
    """
    text = re.sub(r"\\_", "_", spelling)
    inside = _TIME_INSIDE.search(text) if text.rstrip().endswith("}") else None
    time = None
    if inside is not None and (inside[1] or inside[2]):
        offset = int(inside[2].replace(" ", "") or "0")
        time = Time.of(inside[1], offset) if inside[1] else Time(offset)
        text = re.sub(r"_\s*\{\s*\}", "", text[: inside.start()] + text[inside.end() :])
    text = _ACCENT.sub(lambda match: f"{match[2] or match[3]}_{match[1]}", text)
    text = _WRAPPER.sub(lambda match: match[1], text)
    name = re.sub(r"[\\{}\s]", "", text)
    if not _PLAIN.fullmatch(name):
        raise Trouble("syntax", f"{spelling.strip()} is no name: wanted letters with a subscript", at)
    return name, time


def nearest(word: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """The known word most like another one, or "" if none is."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word, list(known), 1, cutoff)), "")
