"""The edits of an expression: each rule reads a place and yields what may stand there, with the class it would mend."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator

from gradlab.gradients.kinds import Kind
from gradlab.gradients.repair.reading import factors, is_slope, names_in, terms
from gradlab.gradients.repair.sites import ALLOCATION, Place, Site, shape_of, sites
from gradlab.gradients.repair.slopes import fresh, of_slope, of_softmax
from gradlab.gradients.repair.vocabulary import READS, Change, Vocabulary
from gradlab.mistakes.rules import Scope, operands, signs, steps, transposes

Rule = Callable[[Site, Vocabulary], Iterator[Change]]


def of_array(site: Site, words: Vocabulary) -> Iterator[Change]:
    """Another array of the same shape, a function of it, one more term, a copy of it."""
    if not isinstance(site.node, READS) or site.text not in site.place.source.shapes or not site.shape:
        return
    factor = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, ast.Mult)
    for other in dict.fromkeys([*site.place.like(site.shape), *site.place.steps(site.text), *fresh(site, site.text)]):
        if other == site.text:
            continue
        yield site.replaced(other), other
        kind = site.added(other)
        if kind is not Kind.PATH:
            yield kind, f"({site.text} + {other})"
        elif factor and not site.slope:
            yield kind, f"({site.text} - {other})"
    for function in words.functions:
        yield Kind.SLOPE if site.slope else Kind.OPERAND, f"{function}({site.text})"
    if site.whole:
        yield Kind.STALE, f"{site.text}.copy()"


def of_transpose(site: Site, words: Vocabulary) -> Iterator[Change]:
    """A transpose dropped or added, the two sides of a matrix product swapped."""
    turned = isinstance(site.parent, ast.Attribute) and site.parent.attr == "T"
    summed = isinstance(site.parent, ast.Attribute) and site.parent.attr in ("sum", "mean")
    for _, new in transposes(site.node, site.parent, words.scope):
        yield Kind.AXIS if summed else Kind.TRANSPOSE, ast.unparse(new)
    if not isinstance(site.node, READS) and site.shape and len(site.shape) == 2 and not turned:
        yield Kind.TRANSPOSE, f"({site.text}).T"
    if isinstance(site.node, ast.BinOp) and isinstance(site.node.op, ast.MatMult):
        yield Kind.TRANSPOSE, next(ast.unparse(new) for _, new in operands(site.node, site.parent, words.scope))


def of_sign(site: Site, words: Vocabulary) -> Iterator[Change]:
    """A sign turned round, a difference the other way."""
    if site.indexing or _reads_steps(site):
        return
    for _, new in signs(site.node, site.parent, words.scope):
        yield Kind.SIGN, ast.unparse(new)
    if isinstance(site.node, ast.BinOp) and isinstance(site.node.op, (ast.Add, ast.Sub)):
        left, right = ast.unparse(site.node.left), ast.unparse(site.node.right)
        yield (
            Kind.SLOPE if site.slope or is_slope(site.node) else Kind.SIGN,
            (f"({left}) + ({right})" if isinstance(site.node.op, ast.Sub) else f"({left}) - ({right})"),
        )


def of_step(site: Site, words: Vocabulary) -> Iterator[Change]:
    """Another step: t ± 1, a range or a slice that ends elsewhere, the other order."""
    node = site.node
    if site.indexing:
        moved = isinstance(node, ast.Name) and node.id in site.place.source.integers
        whole = (
            isinstance(node, ast.BinOp)
            and isinstance(node.op, (ast.Add, ast.Sub))
            and isinstance(node.right, ast.Constant)
        )
        if moved or whole or (isinstance(node, ast.Constant) and type(node.value) is int):
            yield Kind.INDEX, f"{site.text} + 1"
            yield Kind.INDEX, f"{site.text} - 1"
        if moved:
            for other in sorted(site.place.moving & site.place.source.integers):
                if other != site.text:
                    yield site.replaced(other), other
                    yield site.replaced(f"{other} + 1"), f"{other} + 1"
        return
    for _, new in steps(node, site.parent, Scope({}, frozenset(), 0)):
        yield Kind.INDEX, ast.unparse(new)
    if isinstance(node, ast.Call) and ast.unparse(node.func) == "reversed" and node.args:
        yield Kind.INDEX, ast.unparse(node.args[0])
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Slice):
        value, source = ast.unparse(node.value), site.place.source
        if isinstance(node.value, ast.Call) or value in source.shapes or value in source.indexed:
            yield Kind.INDEX, value


def of_factor(site: Site, words: Vocabulary) -> Iterator[Change]:
    """A constant factor more or less; a mean for a sum, or a sum for a mean."""
    node, text = site.node, f"({site.text})"
    if site.sequence:
        return
    if isinstance(node, ast.Call):
        name = ast.unparse(node.func)
        for old, new in (("sum", "mean"), ("mean", "sum")):
            if name.rpartition(".")[2] == old:
                yield Kind.FACTOR, f"{name[: -len(old)]}{new}{site.text[len(name) :]}"
    if (
        isinstance(node, ast.BinOp)
        and isinstance(node.op, (ast.Mult, ast.Div))
        and not site.slope
        and not site.indexing
    ):
        left, right = ast.unparse(node.left), ast.unparse(node.right)
        if _number(node.right, site):
            yield Kind.FACTOR, left
            yield Kind.FACTOR, f"{left} / {right}" if isinstance(node.op, ast.Mult) else f"{left} * {right}"
        elif _number(node.left, site) and isinstance(node.op, ast.Mult):
            yield Kind.FACTOR, right
    term = site.whole or (isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, (ast.Add, ast.Sub)))
    if term and not site.indexing and not site.slope and site.shape != () and not isinstance(node, ast.Constant):
        yield Kind.FACTOR, f"{text} * 2"
        yield Kind.FACTOR, f"{text} / 2"
        for length in words.lengths if site.whole else ():
            yield Kind.FACTOR, f"{text} * {length}"
            yield Kind.FACTOR, f"{text} / {length}"


def of_sum(site: Site, words: Vocabulary) -> Iterator[Change]:
    """A term left out, a carry put under the derivative, the loss of one step at that step only."""
    node = site.node
    if not isinstance(node, ast.BinOp):
        return
    if isinstance(node.op, (ast.Add, ast.Sub)) and not site.indexing:
        for side, other in ((node.left, node.right), (node.right, node.left)):
            negated = side is node.left and isinstance(node.op, ast.Sub)
            yield _dropped(site, ast.unparse(side)), f"-({ast.unparse(other)})" if negated else ast.unparse(other)
        for part, rest in ((node.left, node.right), (node.right, node.left)):
            if isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mult) and isinstance(node.op, ast.Add):
                yield from _under(factors(part), ast.unparse(rest))
    if isinstance(node.op, ast.Mult) and not site.slope:
        left, right = node.left, node.right
        for sum_, slope in ((left, right), (right, left)):
            if len(terms(sum_)) == 2 and is_slope(slope):
                a, b = (ast.unparse(term) for term in terms(sum_))
                yield Kind.OUTSIDE, f"({a}) * {ast.unparse(slope)} + ({b})"
                yield Kind.OUTSIDE, f"({b}) * {ast.unparse(slope)} + ({a})"


def of_first_step(site: Site, words: Vocabulary) -> Iterator[Change]:
    """What does not change from step to step, at the first turn of the loop only."""
    loops = site.place.loops
    if not loops or not isinstance(loops[-1], ast.For) or not isinstance(loops[-1].target, ast.Name) or not site.shape:
        return
    fixed = not ({n.id for n in ast.walk(site.node) if isinstance(n, ast.Name)} & site.place.moving)
    term = site.whole or (isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, (ast.Add, ast.Sub)))
    if fixed and term:
        name = loops[-1].target.id
        yield Kind.LAST_LOSS, f"({site.text}) * ({name} == list({ast.unparse(loops[-1].iter)})[0])"


def of_whole(site: Site, words: Vocabulary) -> Iterator[Change]:
    """A path that ends here: an array, a product of two, of one and a matrix."""
    if not site.whole or site.indexing or not site.shape or site.slope:
        return
    text, alike = f"({site.text})", site.place.like(site.shape)
    if not isinstance(site.node, READS):
        for other in alike:
            yield site.replaced(other), other
            yield site.added(other), f"{text} + {other}"
    if not site.place.targets & site.place.handed and not ALLOCATION.search(site.text):
        return
    own = names_in(site.text)
    for product in words.products(site.shape):
        if own - {"np"} == names_in(product):
            yield Kind.TRANSPOSE, product
        if names_in(product) < own:
            continue  # terms left out are another rule's
        fuller = own <= names_in(product) or ALLOCATION.search(site.text)
        yield Kind.CARRY if fuller else Kind.EXPLICIT, product
        yield site.added(product), f"{text} + {product}"
    for i, a in enumerate(alike):
        for b in alike[i + 1 :]:
            kind = site.added(f"{a} * {b}")
            yield kind, f"{text} + {a} * {b}"
            yield kind, f"{text} + {a} * (1 - {b})"
            yield kind, f"{text} + {b} * (1 - {a})"


def of_mean(site: Site, words: Vocabulary) -> Iterator[Change]:
    """The sum over an axis that a mean or a normalisation sends back."""
    term = isinstance(site.parent, ast.BinOp) and isinstance(site.parent.op, (ast.Add, ast.Sub))
    if not (term or site.whole) or site.slope or not site.shape or len(site.shape) < 2:
        return
    for a in site.place.like(site.shape):
        for axis in (-1, 0):
            yield Kind.PATH, f"({site.text} - {a}.sum(axis={axis}, keepdims=True))"
            yield Kind.PATH, f"({site.text} - {a}.mean(axis={axis}, keepdims=True))"


def of_axis(site: Site, words: Vocabulary) -> Iterator[Change]:
    """Another axis."""
    parent = site.parent
    named = isinstance(parent, ast.keyword) and parent.arg == "axis"
    if isinstance(site.node, ast.Constant) and type(site.node.value) is int and named:
        for axis in (-1, 0, 1):
            if axis != site.node.value:
                yield Kind.AXIS, str(axis)
    if isinstance(site.node, ast.UnaryOp) and named:
        yield Kind.AXIS, "0"


def of_gate(site: Site, words: Vocabulary) -> Iterator[Change]:
    """An operand of a matrix product that a gate multiplies."""
    parent = site.parent
    matrix = isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.MatMult)
    turned = isinstance(parent, ast.Attribute) and parent.attr == "T"
    if not isinstance(site.node, READS) or not (matrix or turned) or not site.shape:
        return
    for other in site.place.like(site.shape):
        if other != site.text:
            yield Kind.OPERAND, f"({other} * {site.text})"


# The narrowest first: of several that read alike, the first counts.
RULES: tuple[Rule, ...] = (
    of_transpose, of_sign, of_step, of_axis, of_slope, of_softmax, of_factor, of_sum, of_first_step, of_array, of_whole,
    of_mean, of_gate,
)  # fmt: skip


def changes(place: Place) -> Iterator[tuple[Site, Kind, str]]:
    """Every edit of the expressions of one statement."""
    words = Vocabulary(place)
    for site in list(sites(place)):
        seen = {site.text}
        for rule in RULES:
            for kind, text in rule(site, words):
                if text not in seen:
                    seen.add(text)
                    yield site, kind, text


def _dropped(site: Site, text: str) -> Kind:
    """The class of a term too many: the last step's loss, where a loop adds the same at each of its turns."""
    names = {n.id for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Name)}
    if site.place.loops and not names & site.place.moving:
        return Kind.LAST_LOSS
    return Kind.SLOPE if site.slope else Kind.PATH


def _under(product: list[ast.expr], rest: str) -> Iterator[Change]:
    """(product of a and b) + rest, with the rest inside one of the factors."""
    for i in range(len(product)):
        others = [f"({ast.unparse(other)})" for j, other in enumerate(product) if j != i]
        yield Kind.OUTSIDE, f"({ast.unparse(product[i])} + {rest}) * {' * '.join(others)}"


def _number(node: ast.expr, site: Site) -> bool:
    call = isinstance(node, ast.Call) and ast.unparse(node.func) in ("len", "float", "np.sqrt")
    size = isinstance(node, ast.Attribute) and node.attr == "size"
    entry = isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith(".shape")
    power = isinstance(node, ast.BinOp) and isinstance(node.left, ast.Name)
    return call or size or entry or shape_of(node, site.place) == () or (power and shape_of(node, site.place) == ())


def _reads_steps(site: Site) -> bool:
    """Whether an expression counts steps rather than numbers."""
    names = {n.id for n in ast.walk(site.node) if isinstance(n, ast.Name)}
    return bool(names) and names <= site.place.source.integers
