r"""What letters and names are in a document as a whole: times, indices, sequences, names of several letters.

A letter that shifts in a script (h_{t-1}) or that is bound by limits which hold a time is a time; a letter that a sum
binds, that two names of one statement carry, or that stands in a pair (W_{ij}) is an index. A letter that is the name
of a sequence as well (the gate i beside an index i) is an index only on names that also occur without any.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from gradlab.verifier.parser import Node, walk
from gradlab.verifier.statements import Statement
from gradlab.verifier.terms import Time
from gradlab.verifier.tokens import FUNCTIONS, Token

_TIME_LETTERS = frozenset("t k s l n i j m".split()) | {"tau"}
_INDEX_LETTERS = frozenset("i j k l m n c d p q r".split())
LOSSES = frozenset("L l E J ell C xi loss Loss F".split())
LISTED = frozenset("L l E J ell xi loss Loss".split())
"""Names of losses; and of those that are written with their arguments listed, as in L(y, ŷ)."""
_BRACKETS = {"(": ")", "[": "]", "<(": ")>", r"\{": r"\}"}


def words_of(statements: Iterable[Statement], known: frozenset[str], strict: bool) -> frozenset[str]:
    """The runs of letters that are names, and no products of their letters.

    known: names of several letters that the front matter declares.
    """
    runs: Counter[str] = Counter()
    singles: set[str] = set()
    marked: set[str] = set()
    for statement in statements:
        for position, side in enumerate(statement.sides):
            for index, token in enumerate(side):
                before = side[index - 1].kind if index else ""
                if token.kind == "name" and len(token.text) == 1 and not _in_script(side, index):
                    singles.add(token.text)
                if token.kind != "word" or _in_script(side, index):
                    continue
                runs[token.text] += 1
                after = side[index + 1].kind if index + 1 < len(side) else ""
                if position == 0 and index == 0 and (len(side) == 1 or after in ("_", "^", "(")):
                    marked.add(token.text)
                if after == "_" and len(token.text) > 2 and before != "word":
                    marked.add(token.text)
    found = set(known)
    for run, count in runs.items():
        letters = run.rstrip("0123456789")
        new = not set(letters) <= singles  # some of its letters stand nowhere by themselves
        is_word = strict or "_" in run or (run in FUNCTIONS and len(run) > 2) or len(letters) == 1
        is_defined = run in marked and (len(letters) > 2 or run[0] == "d" or new)
        is_spelled = len(letters) > 2 and letters.islower() and (count > 1 or new)
        if is_word or is_defined or is_spelled or (len(letters) > 3 and new):
            found.add(run)
    return frozenset(found)


def _in_script(tokens: tuple[Token, ...], index: int) -> bool:
    if index and tokens[index - 1].kind in ("_", "^"):
        return True
    depth = 0
    for at in range(index - 1, -1, -1):
        if tokens[at].kind == "}":
            depth += 1
        elif tokens[at].kind == "{":
            depth -= 1
            if depth < 0:
                return at > 0 and tokens[at - 1].kind in ("_", "^")
    return False


@dataclass
class Survey:
    """The letters of a document. ends: letters that stand for the last step, as T does; seen: where names occur.

    sequences: names that carry a time; bare: names that occur without any; copied: names that carry one below ∂ only;
    called: names that arguments follow; letters: all names. A loss that is a sequence and bare is two: the total, and
    that of a step.
    """

    times: set[str] = field(default_factory=lambda: {"t", "T"})
    indices: set[str] = field(default_factory=set)
    ends: set[str] = field(default_factory=lambda: {"T"})
    sequences: set[str] = field(default_factory=set)
    bare: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)
    letters: set[str] = field(default_factory=set)
    uppers: set[str] = field(default_factory=set)
    first: int = 1
    base: int = 1
    copied: set[str] = field(default_factory=set)

    @property
    def default_time(self) -> Time | None:
        """The time that a sequence has where it stands bare."""
        letters = [letter for letter in ("t", *sorted(self.times)) if letter in self.times - {"T"}]
        return Time.of(letters[0]) if letters else None

    def is_layer(self, letter: str) -> bool:
        """Whether a letter counts layers, so that it does as a superscript without brackets too."""
        return "l" in self.times and (letter == "l" or (letter in self.ends and letter != "T"))

    def step_name(self, name: str) -> str:
        """The name that a loss has at a step, where the document has a total by the same letter."""
        return f"{name}(t)" if name in self.sequences & self.bare and name.split("_")[0] in LOSSES else name

    def linear(self, tokens: Iterable[Token], letters: set[str] | None = None) -> Time | None:
        """The time or index that tokens write: linear in known letters; None if they write none."""
        kept = [token for token in tokens if token.kind not in ("{", "}", "quad")]
        while len(kept) > 2 and kept[0].kind in _BRACKETS and kept[-1].kind == _BRACKETS[kept[0].kind]:
            kept = kept[1:-1]
        if len(kept) > 2 and kept[0].text == "<" and kept[-1].text == ">":
            kept = kept[1:-1]
        total, sign, wants = Time(), 1, True
        allowed = self.times if letters is None else letters
        for token in kept:
            if token.kind == "op" and token.text in ("+", "-"):
                sign = -sign if token.text == "-" and wants else (1 if token.text == "+" else -1)
                wants = True
            elif not wants:
                return None
            elif token.kind == "number" and token.text.isdigit() and len(token.text) < 5:
                total, sign, wants = total.plus(Time(sign * int(token.text))), 1, False
            elif token.kind == "name" and token.text in self.ends:
                total, sign, wants = total.plus(Time.of("T"), sign), 1, False
            elif token.kind == "name" and token.text in allowed:
                total, sign, wants = total.plus(Time.of(token.text), sign), 1, False
            else:
                return None
        return None if wants else total


def items(tokens: tuple[Token, ...]) -> list[tuple[Token, ...]]:
    """The items of a script, parted at commas."""
    found: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token.kind in _BRACKETS or token.kind == "{") - (
            token.kind in _BRACKETS.values() or token.kind == "}"
        )
        if token.kind in (",", ";") and depth == 0:
            found.append([])
        else:
            found[-1].append(token)
    return [tuple(item) for item in found if item]


def flattened(tokens: Iterable[Token]) -> str:
    """A script as a part of a name."""
    text, accent = "", ""
    for token in tokens:
        if token.kind == "accent":
            accent = token.text
        elif token.kind in ("_", "^", "'", "(", ")", "[", "]", ",", "|") or token.kind == "rel":
            text += token.text
        elif token.kind not in ("{", "}", "quad"):
            text += token.text.lstrip("\\")
            if accent:
                text, accent = f"{text}_{accent}", ""
    return text


def survey(trees: list[list[Node]], strict: bool) -> Survey:
    """The survey of a document, from the trees of each of its statements."""
    if strict:
        return Survey(first=0)
    found = Survey(times={"T"}, first=1)
    facts = _Facts()
    trees = [sides for sides in trees if not is_update(sides)]
    for sides in trees:
        facts.statement += 1
        for side in sides:
            facts.read(side)
    facts.conclude(found)
    for sides in trees:
        for side in sides:
            _note_names(side, found)
    gates = found.indices & found.sequences - {letter for letter, _, _ in facts.summed}
    if gates:  # r in W_r, beside a sequence r_t, is the name of a gate
        found.indices -= gates
        found.bare, found.sequences, found.copied = set(), set(), set()
        for sides in trees:
            for side in sides:
                _note_names(side, found)
    found.sequences |= found.copied - found.bare
    facts.ends(found)
    return found


def is_update(sides: list[Node]) -> bool:
    """Whether a statement says how a weight is changed, such as w(k+1) = w(k) - μ ∂E/∂w: that is no equation."""
    if len(sides) != 2 or not _base(sides[0]):
        return False
    names = [each.value[0] for each in walk(sides[1]) if each.kind == "name"]
    moves = any(each.kind == "derivative" for each in walk(sides[1])) or "Delta" in names
    above = [each for each in walk(sides[1]) if each.kind in ("sub", "add")]
    return moves and bool(above) and _labelled(_leftmost(sides[1])) == _labelled(sides[0])


def _labelled(node: Node) -> str:
    """A name with its subscripts that are words, and no letters or numbers."""
    words = [
        flattened(tokens)
        for mark, tokens in _scripts(node)
        if mark == "_" and len(flattened(tokens)) > 1 and not any(token.kind == "op" for token in tokens)
    ]
    return "_".join([_base(node), *words])


def _leftmost(node: Node) -> Node:
    while node.kind in ("sub", "add", "group"):
        node = node.children[0]
    return node


class _Facts:
    """What scripts and sums say, before it is known what each letter is."""

    def __init__(self) -> None:
        self.statement = 0
        self.shifted: Counter[str] = Counter()
        self.single: defaultdict[str, set[str]] = defaultdict(set)
        self.by_statement: defaultdict[tuple[int, str], set[str]] = defaultdict(set)
        self.paired: set[str] = set()
        self.bracketed: set[str] = set()
        self.candidates: list[tuple[str, str, str]] = []
        self.raised: set[str] = set()
        self.summed: list[tuple[str, tuple[Token, ...], tuple[Token, ...]]] = []
        self.plain: set[str] = set()
        self.negative = self.zero_sum = self.last_step = False
        self.uppers: list[tuple[str, str]] = []
        self.scripted_ends: set[str] = set()

    def read(self, node: Node) -> None:
        for each in walk(node):
            if each.kind == "scripts":
                self.scripts(each)
            elif each.kind == "call" and len(each.children) == 2:
                self.item(_tokens_of(each.children[1]), _base(each), "call")
            elif each.kind == "name":
                self.plain.add(each.value[0])
            elif each.kind == "big":
                name, below, above = each.value
                if below and below[0].kind == "name":
                    self.summed.append((below[0].text, below[1:], above))
                    pair = [token for token in below if token.kind == "name"]
                    if len(pair) > 1 and not any(token.kind == "rel" for token in below):
                        self.summed += [(token.text, (), ()) for token in pair]
                elif len(below) > 3 and below[0].kind == "number":  # 1 <= k <= t
                    letter = next((token.text for token in below if token.kind == "name"), "")
                    self.summed.append((letter, below, above))

    def scripts(self, node: Node) -> None:
        base = _base(node)
        for mark, tokens in node.value[0]:
            for item in items(tokens):
                bracketed = item[0].kind in _BRACKETS or item[0].text == "<"
                if mark == "_" or bracketed:
                    self.item(item, base, "^" if mark == "^" else "_")
                else:
                    letters = [token.text for token in item if token.kind == "name"]
                    if len(item) == 3 and item[1].kind == "op" and letters[:1] in (["l"], ["L"]):
                        self.shifted["l"] += 1
                        self.single[letters[0]].add(base)
                    elif letters in (["l"], ["L"]) and len(item) == 1:
                        self.single[letters[0]].add(base)

    def item(self, item: tuple[Token, ...], base: str, where: str) -> None:
        opening = next((at for at, token in enumerate(item) if token.kind == "["), -1)
        if opening >= 0 and item[-1].kind == "]" and where == "_":
            inside = items(item[opening + 1 : -1])
            letters = [part[0].text for part in inside if len(part) == 1 and part[0].text in _INDEX_LETTERS]
            if inside and len(letters) == len(inside):
                self.pair([*letters, *letters][:2] if len(letters) == 1 else letters[:2], base)
                self.bracketed.update(letters)
                return
        kept = [
            token
            for token in item
            if token.kind not in (*_BRACKETS, *_BRACKETS.values(), "{", "}") and token.text not in "<>"
        ]
        texts = [token.text for token in kept]
        names = [token.text for token in kept if token.kind in ("name", "word")]
        if kept and kept[0].kind == "op" and kept[0].text == "-" and len(kept) == 2 and kept[1].kind == "number":
            self.negative |= where == "call" or (where == "_")
        if len(kept) == 3 and kept[1].kind == "op" and kept[1].text in "+-" and kept[0].kind == "name":
            if kept[2].kind == "number":
                self.shifted[kept[0].text] += 1
            self.single[kept[0].text].add(base)
            self.by_statement[self.statement, kept[0].text].add(base)
        elif len(kept) == 1 and kept[0].kind == "name":
            self.single[texts[0]].add(base)
            self.by_statement[self.statement, texts[0]].add(base)
            if where == "^":
                self.raised.add(texts[0])
        elif len(kept) >= 2 and len(names) == len(kept) and where == "_":
            letters = [letter for name in names for letter in (name if len(name) <= 2 and name.isalpha() else [name])]
            if len(letters) == 2 and all(letter in _INDEX_LETTERS for letter in letters):
                self.pair(letters, base)
            elif len(letters) == 2:
                self.candidates.append((letters[0], letters[1], base))
        elif len(kept) == 1 and where == "_" and len(texts[0]) == 2 and set(texts[0]) <= _INDEX_LETTERS:
            self.pair(list(texts[0]), base)

    def pair(self, letters: list[str], base: str) -> None:
        for letter in letters:
            self.by_statement[self.statement, letter].add(base)
            self.single[letter].add(base)
            if letters[0] != letters[1]:
                self.paired.add(letter)

    def _close_pairs(self, bound: set[str]) -> None:
        """Pairs of letters that sums bind are indices (r_{ui}), and so are others on the same name (r_{vi}, δ_{uv})."""
        known, names = bound | self.paired, {"delta"}
        for _ in range(3):
            for one, other, base in self.candidates:
                if {one, other} <= known or (base in names and {one, other} & known):
                    names.add(base)
                    known |= {one, other}
                    self.pair([one, other], base)

    def conclude(self, found: Survey) -> None:
        bound = {letter for letter, _, _ in self.summed}
        self._close_pairs(bound)
        times = {letter for letter in self.shifted if letter in _TIME_LETTERS}
        if "t" in self.single:
            times.add("t")
        if self.shifted["L"]:
            times.add("l")
        times -= {letter for letter in times if letter in self.paired | self.bracketed and letter not in ("t", "l")}
        times -= {letter for letter in times & (_INDEX_LETTERS - {"l", "k"}) if letter in bound and "t" in times}
        if "t" in times and not self.shifted["L"]:
            times.discard("l")
        elif "l" in self.raised and "l" not in self.paired and len(self.single["l"]) > 1:
            times.add("l")
        if not times:
            times |= {letter for letter in self.raised & {"i", "n", "k"} if letter not in self.paired}
        grown = True
        while grown:
            grown = False
            for letter, below, above in self.summed:
                held = {token.text for token in (*below, *above) if token.kind == "name"}
                timely = held & (times | ({"T"} if times else set()))
                if letter not in times and timely and letter not in self.paired:
                    times.add(letter)
                    grown = True
        for letter in ("k", "s", "tau", "j", "i"):
            carried = set().union(*(self.single[time] for time in times)) if times else set()
            if letter in self.single and self.single[letter] <= carried and letter not in self.paired and "t" in times:
                times.add(letter)
        shared = Counter(letter for (_, letter), bases in self.by_statement.items() if len(bases) > 1)
        found.indices = ({letter for letter in bound if len(letter) == 1} | self.paired) - times
        found.indices |= {letter for letter in shared if letter in _INDEX_LETTERS and letter not in times}
        found.uppers = {above[0].text for letter, _, above in self.summed if letter not in times and len(above) == 1
                        and above[0].kind == "name"} - bound  # fmt: skip
        found.indices |= self.bracketed
        found.indices -= found.uppers
        found.times = times | {"T"}
        found.letters = self.plain
        if any(letter in times and below[1:2] and below[1].text == "0" for letter, below, _ in self.summed):
            self.zero_sum = True
        found.first = 0 if self.negative or self.zero_sum or self._ends_before(times) else 1
        found.base = 0 if any(
            letter in found.indices and len(below) > 1 and below[1].text == "0" for letter, below, _ in self.summed
        ) else 1  # fmt: skip

    def _ends_before(self, times: set[str]) -> bool:
        return any(
            letter in times and [token.text for token in above[:2]] in (["T", "-"], ["n", "-"], ["N", "-"])
            for letter, _, above in self.summed
        )

    def ends(self, found: Survey) -> None:
        """The letters that stand for the last step: upper limits of sums over times, and L where layers are counted."""
        for letter, _, above in self.summed:
            if letter in found.times and above and above[0].kind == "name" and above[0].text not in found.times:
                found.ends.add(above[0].text)
        times = found.times - {"T"}
        for letter in ("L", "T", "N", "S", "K", "M"):
            carried = set().union(*(self.single[time] for time in times)) if times else set()
            is_layer = letter == "L" and "l" in times
            if times and letter in self.single and (self.single[letter] & carried or is_layer):
                found.ends.add(letter)


def _note_names(node: Node, found: Survey) -> None:
    below = [each.children[1] for each in walk(node) if each.kind == "derivative"]
    for each in _named(node):
        base = _base(each)
        name, timed, indexed = base, False, False
        scripts = _scripts(each)
        for mark, tokens in scripts:
            for item in items(tokens):
                time = found.linear(item)
                plain_power = mark == "^" and item[0].kind not in _BRACKETS and item[0].text != "<"
                if time is not None and time.letters and not (plain_power and not _is_layer(item)):
                    timed = True
                elif mark == "_" and is_index(item, found.indices):
                    indexed = True
                elif mark == "_":
                    name += "_" + flattened(item)
                elif item[0].kind in _BRACKETS:
                    name += "^" + flattened(item)
        if each.kind == "call":
            time = found.linear(_tokens_of(each.children[1])) if len(each.children) == 2 else None
            if time is not None and time.letters:
                timed = True
            else:
                found.called.add(name)
                continue
        if timed and each.kind == "call" and any(each is child for child in below):
            found.copied.add(name)  # ∂L/∂W(t), by the copy of W that step t uses
        elif timed:
            found.sequences.add(name)
        elif not indexed:
            found.bare.add(name)


def _is_layer(item: tuple[Token, ...]) -> bool:
    return any(token.text == "l" for token in item)


def is_index(item: tuple[Token, ...], indices: set[str]) -> bool:
    """Whether a script's item is made of index letters: i, ij, i+1."""
    kept = [token for token in item if token.kind not in ("{", "}")]
    names = [token for token in kept if token.kind in ("name", "word")]
    if not names:
        return False
    return all(
        token.kind in ("number", "op") or token.text in indices or (token.kind == "word" and set(token.text) <= indices)
        for token in kept
    ) and not any(token.kind == "op" and token.text not in "+-" for token in kept)


def _named(node: Node) -> Iterator[Node]:
    """The names in a tree, each with its scripts and its call, once."""
    if node.kind in ("scripts", "call") and _base(node):
        yield node
        if node.kind == "call":
            for child in node.children[1:]:
                yield from _named(child)
        return
    if node.kind == "name":
        yield node
    for child in node.children:
        yield from _named(child)


def _base(node: Node) -> str:
    """The name that scripts and a call are put on, or "" if it is none."""
    while node.kind in ("scripts", "call"):
        node = node.children[0]
    return node.value[0] if node.kind == "name" else ""


def _scripts(node: Node) -> list[tuple[str, tuple[Token, ...]]]:
    found: list[tuple[str, tuple[Token, ...]]] = []
    while node.kind in ("scripts", "call"):
        if node.kind == "scripts":
            found = [*node.value[0], *found]
        node = node.children[0]
    return found


def _tokens_of(node: Node) -> tuple[Token, ...]:
    """A tree that may write a time, as tokens again; () for any other."""
    match node.kind:
        case "name":
            return (Token("name", node.value[0], node.at, node.end),)
        case "number" if node.value.denominator == 1:
            return (Token("number", str(node.value), node.at, node.end),)
        case "group":
            return _tokens_of(node.children[0])
        case "neg":
            inner = _tokens_of(node.children[0])
            return (Token("op", "-", node.at, node.at + 1), *inner) if inner else ()
        case "add" | "sub":
            left, right = (_tokens_of(child) for child in node.children)
            sign = "+" if node.kind == "add" else "-"
            return (*left, Token("op", sign, node.at, node.at + 1), *right) if left and right else ()
        case _:
            return ()


tokens_of = _tokens_of
base_of = _base
scripts_of = _scripts
