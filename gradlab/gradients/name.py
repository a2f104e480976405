"""What stands where a gradient leaves the truth, against what should: as a relation, which names the mistake.

    n executions of the line that is to blame

Relations are tried in tiers, from those that can hold by accident least; a tier that finds something ends the search. A
relation counts if it holds in every world that is looked at.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np

from gradlab.gradients import expressions
from gradlab.gradients.candidates import Candidates, Fit, Made, squeezed, turned
from gradlab.gradients.kinds import Kind
from gradlab.gradients.locate import Blamed
from gradlab.gradients.truths import ADJOINT, EDGE, OPERAND, PARTIAL_SUM, SOME_USES, Truth, Truths
from gradlab.gradients.values import Value, Values
from gradlab.gradients.worlds import World, close, masked
from gradlab.tape import Adjoints
from gradlab.tape.program import Site

Array = np.ndarray[Any, Any]

ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "add": np.add, "subtract": np.subtract, "multiply": np.multiply, "divide": np.divide, "maximum": np.maximum,
    "minimum": np.minimum, "product": np.matmul,
}  # fmt: skip
NONLINEAR = ("tanh", "exp", "sin", "cos", "expm1", "erf", "logistic")
UPSTREAM = ("the upstream gradient",)
WHOLE = 1e-6  # how near a whole number a count of edges has to be
JACOBIAN = 200  # entries of which a Jacobian's diagonal is computed


@dataclass(frozen=True)
class Relation:
    """One: its class, None where it may be of several; the sentence that says it; at: the operand that is wrong.

    ratio: the factor, of a relation that is one. derivative: a derivative stands in the place of another.
    """

    kind: Kind | None
    said: str
    at: int | None = None
    ratio: float | None = None
    derivative: bool = False


def placed(site: Site) -> str:
    """file.py:27, of what the user wrote."""
    return f" ({site.where})" if site.where else ""


class Scene:
    """One place to blame in one world.

    Args:
        world: as the code has it. changed: what is put right elsewhere, by block.
    """

    def __init__(
        self, world: World, truths: Truths, candidates: Candidates, values: Values, blamed: Blamed, changed: Any
    ) -> None:
        self.world, self.truths, self.candidates, self.values = world, truths, candidates, values
        self.blamed, self.fit, self.made = blamed, blamed.fit, blamed.fit.made
        self.right = world.replayed(changed)
        self.program = world.program
        self.block = self.program.blocks[self.made.numbers[0]]
        self.given = self.made.itself(self.right)
        self.wanted = self.fit.value(truths, world)
        self.n = len(self.made.numbers)

    def relations(self) -> list[Relation]:
        """What holds."""
        tiers = (
            self._selected, self._factor, self._transposed, self._edges, self._accumulation, self._other_step,
            self._jacobian, self._trace, self._operand_values, self._operand_truths, self._factors, self._one_term,
            self._changed_after,
        )  # fmt: skip
        for tier in tiers:
            found = list(dict.fromkeys(tier()))
            if found:
                return found
        return []

    # ---- a factor
    def _factor(self) -> Iterator[Relation]:
        ratio = _ratio(self.given, self.wanted)
        if ratio is None or abs(ratio - 1) < 1e-7:
            return
        if abs(ratio + 1) < 1e-9:
            yield Relation(Kind.SIGN, "it is the negative of what it should be")
        else:
            kind = Kind.HALVED if self._scaled_inside(abs(ratio)) else Kind.FACTOR
            yield Relation(kind, "it is a multiple of what it should be", ratio=ratio)

    def _scaled_inside(self, ratio: float) -> bool:
        """Whether an activation of the loss takes so many times its argument."""
        scaled: set[int] = set()
        for numbers in self.truths.blocks.values():
            for n in numbers:
                block = self.program.blocks[n]
                if block.operation in NONLINEAR and any(
                    int(i.reshape(-1)[0]) in scaled for i in block.operands if i.size
                ):
                    return True
                if block.operation in ("multiply", "divide"):
                    found = [float(self.world.values[i.reshape(-1)[0]]) for i in block.operands
                             if i.size == 1 and i.reshape(-1)[0] < self.truths.first
                             and self.truths.literal[i.reshape(-1)[0]]]  # fmt: skip
                    if any(min(abs(abs(x) - ratio), abs(abs(x) - 1 / ratio)) < 1e-9 for x in found):
                        scaled.add(block.start)
        return False

    def _slope_kind(self, value: Value) -> Kind:
        """Of the output, on which the loss alone depends, or of what the network goes on with."""
        products = sum(self.program.blocks[some[0]].operation == "product" for some in self.truths.blocks.values())
        if products < 2 or any(block.parameter == "upstream" for block in self.program.blocks):
            return Kind.SLOPE
        numbers = set(value.numbers)
        reached = np.zeros(self.truths.first, bool)
        for n in numbers:
            reached[self.program.blocks[n].start : self.program.blocks[n].stop] = True
        for some in sorted(n for numbers in self.truths.blocks.values() for n in numbers):
            block = self.program.blocks[some]
            taken = [bool(reached[index].any()) for index in block.operands]
            if any(taken):
                if block.operation == "product" and some not in numbers:
                    return Kind.SLOPE
                reached[block.start : block.stop] = True
        return Kind.JACOBIAN

    # ---- what uses send back
    @staticmethod
    def _of_uses(fit: Fit) -> bool:
        return fit.truth.kind in (ADJOINT, OPERAND, SOME_USES) and not fit.turn

    def _edges(
        self, given: Array | None = None, wanted: Array | None = None, fit: Fit | None = None
    ) -> Iterator[Relation]:
        """What stands there as a sum of what uses send back, against the sum that should."""
        given, wanted = self.given if given is None else given, self.wanted if wanted is None else wanted
        fit = fit or self.fit
        truth = fit.truth
        if truth.kind not in (ADJOINT, OPERAND, SOME_USES) or not truth.index.size:
            return
        uses = self.truths.sent_by_use(truth.index, self.world)
        if not uses or not given.any():
            return
        meant = set(truth.uses) if truth.kind == SOME_USES else set(uses)
        stacks = {use: self._arranged(stack, fit) for use, stack in uses.items()}
        edges = np.array([stack.reshape(-1) for stack in stacks.values()]).T
        if np.linalg.matrix_rank(edges) < len(uses):
            return
        counts, *_ = np.linalg.lstsq(edges, given.reshape(-1), rcond=None)
        scale = max(float(np.abs(wanted).max()), 1e-300)
        if np.abs(edges @ counts - given.reshape(-1)).max() > 1e-8 * scale:
            return
        for count, use in zip(counts, uses, strict=True):
            if use in meant and abs(count - 1) > 1e-7:
                yield self._edge(use, float(count), stacks[use], list(stacks.values()))
            elif use not in meant and abs(count) > 1e-7:
                site = self.program.blocks[self.truths.uses[use][0][0]].site
                said = f"what `{expressions.text(site)}`{placed(site)} sends back is added, and does not belong there"
                yield Relation(Kind.PATH, said)

    def _edge(self, use: Any, count: float, stack: Array, stacks: list[Array]) -> Relation:
        site = self.program.blocks[self.truths.uses[use][0][0]].site
        said = f"what `{expressions.text(site)}`{placed(site)} sends back"
        kind = Kind.CARRY if self._later(stack, stacks) or self._from_later(use) else Kind.PATH
        later = ", from the step after," if kind is Kind.CARRY else ""
        whole = round(count) if abs(count - round(count)) < WHOLE else None
        if whole == 0:
            penalty = self._penalty(self.truths.uses[use][0][0])
            return Relation(penalty or kind, f"{said}{later} is missing")
        if whole == 2:
            return Relation(Kind.PATH, f"{said}{later} is counted twice")
        if whole == -1:
            return Relation(Kind.SIGN, f"{said}{later} has the opposite sign")
        return Relation(Kind.FACTOR, f"{said}{later} is taken {_fraction(count)} times")

    def _penalty(self, number: int) -> Kind | None:
        """Of a use of a parameter that goes to the loss with no data: a penalty, which makes it another loss."""
        if any(block.parameter == "upstream" for block in self.program.blocks):
            return None  # of a layer, what goes in is a parameter, too
        block = self.program.blocks[number]
        spans = [(int(index.min()), int(index.max())) for index in self.world.recorded.leaves.values() if index.size]
        alone = all(
            any(low <= int(index.min()) and int(index.max()) <= high for low, high in spans)
            or (int(index.max()) < self.truths.first and self.truths.literal[index].all())
            for index in block.operands
        )
        return Kind.LOSS if alone and block.operation != "product" else None

    def _from_later(self, use: Any) -> bool:
        """Whether a use is one of the next execution of what the truth is of."""
        blocks, index, uses = self.program.blocks, self.fit.truth.index, self.truths.uses[use]
        if len(index) < 2:  # all steps in one array: a use of single steps, but not of all
            parts = [blocks[n].operands[k] for n, k in uses]
            covered = np.isin(index, np.concatenate([part.reshape(-1) for part in parts]))
            return len(parts) > 1 and bool(covered.any()) and not covered.all()
        lags = []
        for i in range(len(index) - 1):
            low, high = int(index[i].min()), int(index[i].max())
            mine = [j for j, (n, k) in enumerate(uses) if _holds(blocks[n].operands[k], low, high)]
            lags += [j + len(index) - len(uses) - i for j in mine]
        return bool(lags) and min(lags) > 0

    def _later(self, stack: Array, stacks: list[Array]) -> bool:
        """Whether a use is one of the next step: the last step has none, and has others."""
        if self.n < 2:
            return False
        last = 0 if self.candidates.backwards else -1
        others = any(other[last].any() for other in stacks if other is not stack)
        return not stack[last].any() and bool(stack.any()) and others

    def _arranged(self, stack: Array, fit: Fit | None = None) -> Array:
        """A stack of what the truth is of, in the order of what is made."""
        fit = fit or self.fit
        rows = turned(stack, fit.turn, fit.made.shape)
        flat = rows.reshape(len(rows), -1) if self.n > 1 else rows.reshape(1, -1)
        keep = np.broadcast_to((fit.at >= 0)[:, None], (self.n, flat.shape[1]))
        return masked(flat[fit.at], keep).reshape(self.n, *fit.made.shape) * float(fit.scale)

    # ---- sums over executions
    def _accumulation(self) -> Iterator[Relation]:
        truth = self.fit.truth
        plain = {PARTIAL_SUM: EDGE, OPERAND: EDGE}.get(truth.kind)
        repeated = len(np.unique(truth.index)) < truth.index.size
        if plain is not None and truth.numbers and (truth.kind == PARTIAL_SUM or repeated):
            each = Truth(plain, truth.site, truth.operation, truth.numbers, truth.index, truth.operand, 0, truth.rows)
            stack = self.truths.stack(each, self.world)
            alike = squeezed(stack.shape) == squeezed(self.truths.stack(truth, self.world).shape)
            if alike and close(self._arranged(stack), self.given) and not close(self.given, self.wanted):
                what = "repeated entries" if truth.kind == OPERAND else "the steps"
                yield Relation(Kind.ACCUMULATION, f"one part alone stands where the sum over {what} belongs")

    # ---- time
    def _other_step(self) -> Iterator[Relation]:
        w, u = self.given, self.wanted
        if self.n < 2:
            return
        inner = slice(1, -1)
        for said, moved, where in (
            ("it is right, with the steps in reversed order", u[::-1], slice(None)),
            ("it is that of the step before", np.roll(u, 1, 0), inner),
            ("it is that of the step after", np.roll(u, -1, 0), inner),
        ):
            if len(w[where]) > 1 and close(w[where], moved[where]):
                yield Relation(Kind.INDEX, said)
                return
        first = u[0] if self.candidates.backwards else u[-1]
        if first.any() and all(close(one, first) for one in w):
            rest = u[1:] if self.candidates.backwards else u[:-1]
            if not rest.any():
                yield Relation(Kind.LAST_LOSS, "what belongs to the last step alone stands at every step")
            else:
                yield Relation(Kind.STALE, "the last step's stands at every step")

    # ---- derivatives that are no elementwise ones
    def _jacobian(self) -> Iterator[Relation]:
        truth = self.fit.truth
        if truth.kind != ADJOINT or self.n != 1 or self.wanted.size > JACOBIAN or len(truth.index) != 1:
            return
        at = truth.index[0].reshape(-1)
        for numbers in self.truths.blocks.values():
            number = numbers[-1]
            block = self.program.blocks[number]
            if block.stop - block.start != at.size or block.operation == "numbers":
                continue
            below = self.world.adjoints[block.start : block.stop]
            sweep = Adjoints(self.world.run, block.nodes.reshape(-1, 1))
            diagonal = np.diagonal(sweep.rows(at))
            if diagonal.any() and close(self.given.reshape(-1), below * diagonal):
                where = f"`{expressions.text(block.site)}`{placed(block.site)}"
                yield Relation(Kind.SLOPE, f"the derivative of {where} is taken as if it were elementwise")
                return

    def _trace(self) -> Iterator[Relation]:
        u = self.wanted
        if u.ndim == 3 and u.shape[1] == u.shape[2] > 1:
            trace = np.trace(u, axis1=1, axis2=2)[:, None, None]
            if close(self.given, np.broadcast_to(trace, u.shape)):
                yield Relation(Kind.OPERAND, "an inner product stands where the outer product belongs")

    # ---- operands
    def _operands(self) -> list[Array] | None:
        """(n, …) each, padded so that they broadcast; None where executions differ."""
        if self.block.operation not in ELEMENTWISE or len(self.block.operands) != 2:
            return None
        found = []
        for k in range(2):
            stacks = [self.right.values[self.program.blocks[n].operands[k]] for n in self.made.numbers]
            if len({one.shape for one in stacks}) > 1:
                if self.block.operation == "product":
                    return None
                stacks = [np.broadcast_to(one, self.made.shape) for one in stacks]
            elif self.block.operation != "product":
                stacks = [one.reshape((1,) * (len(self.made.shape) - one.ndim) + one.shape) for one in stacks]
            found.append(np.stack(stacks))
        return found

    def _with(self, operands: list[Array], k: int, other: Array) -> bool:
        """Whether the line is right with another array as its operand k."""
        changed = list(operands)
        if other[0].size != operands[k][0].size or len(other) != self.n:
            return False
        changed[k] = other.reshape(operands[k].shape)
        made = ELEMENTWISE[self.block.operation](*changed)
        return close(made, self.wanted)

    def _transposed(self) -> Iterator[Relation]:
        operands = self._operands()
        if operands is None or self.block.operation != "product":
            return
        for k, one in enumerate(operands):
            if one.ndim == 3 and one.shape[1] == one.shape[2] > 1 and self._with(operands, k, np.swapaxes(one, 1, 2)):
                yield Relation(Kind.TRANSPOSE, f"{self._read(k)} should be transposed", k)

    def _operand_values(self) -> Iterator[Relation]:
        operands = self._operands()
        if operands is None:
            return
        for k, standing in enumerate(operands):
            if self._is_literal(k):
                continue
            for value in self.values.all:
                for moved in self._in_orders(value, standing):
                    if self._with(operands, k, moved) and not close(moved.reshape(standing.shape), standing):
                        yield self._other_operand(k, standing, value, moved.reshape(standing.shape))
                        return

    def _in_orders(self, value: Value, standing: Array) -> Iterator[Array]:
        stack = value.stack(self.world)
        if stack[0].size != standing[0].size and not (
            len(stack) == 1 and stack.ndim > 1 and stack.shape[1] >= self.n and stack[0, 0].size == standing[0].size
        ):
            return
        rows = stack[0] if stack[0].size != standing[0].size else stack
        if len(rows) == 1 and self.n > 1:
            rows = np.repeat(rows, self.n, axis=0)
        for turn in (1, -1):
            for start in range(len(rows) - self.n + 1):
                yield rows[::turn][start : start + self.n]
        if len(rows) == self.n - 1 or len(rows) == self.n:  # the first step has it otherwise, or as a number
            for turn in (1, -1):
                pad = np.concatenate([rows[::turn], standing[-1:].reshape(1, *rows.shape[1:])])
                for start in range(len(pad) - self.n + 1):
                    yield pad[start : start + self.n]

    def _other_operand(self, k: int, standing: Array, value: Value, right: Array) -> Relation:
        said = f"{self._read(k)} should be {value.said}{placed(value.site)}"
        if self._made_as_data(k) and value.data:
            return Relation(Kind.STALE, f"{said}: there stands another draw of it", k)
        steps = [i for i in range(self.n) if not close(standing[i], right[i])]
        shifted = self.n > 1 and sum(
            any(close(standing[i], right[j]) for j in range(self.n) if j != i) for i in steps
        ) >= max(1, len(steps) - 1)
        if shifted and len(steps) > 1:
            if all(close(one, standing[0]) for one in standing):
                return Relation(Kind.STALE, f"{said}: there stands one step's at every step", k)
            return Relation(Kind.INDEX, f"{said}: there stands that of another step", k)
        return Relation(self._slope_kind(value) if value.slope else Kind.OPERAND, said, k)

    def _is_literal(self, k: int) -> bool:
        first = int(self.block.operands[k].reshape(-1)[0]) if self.block.operands[k].size else 0
        number = self.values.starts.get(first)
        block = None if number is None else self.program.blocks[number]
        return first <= 2 or (block is not None and block.parameter == "literal")

    def _made_as_data(self, k: int) -> bool:
        first = int(self.block.operands[k].reshape(-1)[0])
        number = self.values.starts.get(first)
        block = None if number is None else self.program.blocks[number]
        return block is not None and block.operation == "numbers" and first >= self.truths.first

    def _operand_truths(self) -> Iterator[Relation]:
        operands = self._operands()
        if operands is None:
            return
        for k, standing in enumerate(operands):
            if self._is_literal(k):
                continue
            for fit in self._truths_like(standing):
                right = fit.value(self.truths, self.world).reshape(standing.shape)
                if close(right, standing) or not self._with(operands, k, right):
                    continue
                said = f"{self._read(k)} should be {_described(fit)}"
                moved = [np.roll(right, 1, 0), np.roll(right, -1, 0), right[::-1]]
                between = list(self._edges(standing, right, fit)) if self._of_uses(fit) else []
                if between:
                    yield from (replace(one, at=k, derivative=True) for one in between)
                    return
                same = self.n > 2 and any(
                    sum(close(a, b) for a, b in zip(standing, other, strict=True)) >= self.n - 1 for other in moved
                )
                if same:
                    yield Relation(Kind.INDEX, f"{said}: there stands that of another step", k, derivative=True)
                else:
                    yield Relation(None, said, k, derivative=True)
                return

    def _truths_like(self, standing: Array) -> Iterator[Fit]:
        like = Made(self.made.key, self.made.numbers, standing.shape[1:], self.made.site, self.made.operation)
        for truth, turn, _, orders in self.candidates.variants(like):
            for order, at in orders:
                fit = Fit(like, truth, turn, order, at, self.fit.scale)
                if not fit.shifted and (self.n == 1 or fit.backwards == self.candidates.backwards):
                    yield fit

    def _factors(self) -> Iterator[Relation]:
        w, u = self.given, self.wanted
        for value in self.values.all:
            stack = value.stack(self.world)
            for rows in (stack, stack[::-1]):
                if rows.size != u.size:
                    continue
                x = rows.reshape(u.shape)
                kind = self._slope_kind(value) if value.slope else Kind.PATH if value.said in UPSTREAM else None
                if close(w * x, u) and not close(w, u):
                    yield Relation(kind, f"{value.said}{placed(value.site)} is missing as a factor")
                    return
                if close(u * x, w) and not close(w, u):
                    yield Relation(kind, f"{value.said}{placed(value.site)} is a factor too many")
                    return

    def _one_term(self) -> Iterator[Relation]:
        difference = self.given - self.wanted
        for fit in self.candidates.fits(self.made, difference, self.world):
            said = _described(fit)
            if fit.shifted and self._never_handed_on(fit):
                yield Relation(Kind.FORWARD, f"{said} is added, where the loss does not use it so")
            else:
                yield Relation(Kind.PATH if fit.truth.kind == EDGE else None, f"{said} is a term too many")
            return
        for fit in self.candidates.fits(self.made, -difference, self.world):
            edge = Kind.PATH if fit.truth.kind == EDGE else None
            penalty = self._penalty(fit.truth.numbers[0]) if edge and fit.truth.numbers else None
            kind = Kind.CARRY if self._after(fit) else penalty or edge
            yield Relation(kind, f"{_described(fit)} is missing as a term")
            return

    def _after(self, term: Fit) -> bool:
        """Whether a term is of the execution after that of which the truth is."""
        mine, other = len(self.fit.truth.numbers), len(term.truth.numbers)
        if mine < 2 or other < 2 or len(self.fit.at) != len(term.at):
            return False
        lags = [b - a + mine - other for a, b in zip(self.fit.at, term.at, strict=True) if a >= 0 and b >= 0]
        return bool(lags) and min(lags) > 0

    @staticmethod
    def _never_handed_on(fit: Fit) -> bool:
        """Whether all steps of the loss take the same numbers where the gradient takes them for the last step's."""
        index = fit.truth.index
        return fit.truth.kind == EDGE and len(index) > 1 and bool((index == index[:1]).all())

    def _changed_after(self) -> Iterator[Relation]:
        for other in self.candidates.made:
            alike = squeezed(other.shape) == squeezed(self.made.shape) and len(other.numbers) == self.n
            if other is self.made or not alike:
                continue
            if other.numbers[0] < self.made.numbers[0] and self._before_it(other):
                said = f"it is right at {other.site.where}, and changed here"
                selecting = self.block.operation in ("maximum", "minimum", "positive", "max", "min")
                if selecting:
                    yield Relation(Kind.CLIP_RECURSION, f"{said} by a clip or a choice")
                else:
                    yield Relation(None, said)
                return

    def _before_it(self, other: Any) -> bool:
        """Whether another instruction gives what is right, in all executions but those to which nothing belongs."""
        given = other.itself(self.right).reshape(self.wanted.shape)
        live = [k for k in range(self.n) if self.wanted[k].any()]
        return bool(live) and close(given[live], self.wanted[live])

    def _selected(self) -> Iterator[Relation]:
        if self.block.operation in ("maximum", "minimum", "positive"):
            yield from (one for one in self._changed_after() if one.kind is Kind.CLIP_RECURSION)

    def _read(self, k: int) -> str:
        found = expressions.operand(self.made.site.frames[0], k)
        return f"`{_shortened(found)}`" if found is not None else f"operand {k + 1}"


def _shortened(node: ast.expr) -> str:
    said = ast.unparse(node)
    return said if len(said) <= expressions.LONGEST else said[: expressions.LONGEST - 1] + "…"


def _holds(index: Array, low: int, high: int) -> bool:
    return bool(((index >= low) & (index <= high)).any())


def _described(fit: Fit) -> str:
    truth = fit.truth
    if truth.operation == "leaf":
        return "the derivative by the parameter"
    where = f"`{expressions.text(truth.site, truth.operation)}`{placed(truth.site)}"
    if truth.kind == ADJOINT:
        return f"the derivative by {where}"
    if truth.kind == OPERAND:
        return f"the derivative by what {where} takes"
    if truth.kind == EDGE:
        return f"what {where} sends back"
    if truth.kind == PARTIAL_SUM:
        return f"the sum over the steps of what {where} sends back"
    return f"part of the derivative by {where}"


def _ratio(w: Array, u: Array) -> float | None:
    """The number by which u has to be multiplied to give w."""
    square = float((u * u).sum())
    if not square:
        return None
    ratio = float((w * u).sum()) / square
    return ratio if ratio and close(w, ratio * u, part=1e-9) else None


def _fraction(number: float) -> str:
    simple = Fraction(number).limit_denominator(1000)
    return str(simple) if abs(float(simple) - number) < 1e-9 * abs(number) else f"{number:.6g}"


def agreed(found: list[list[Relation]]) -> list[Relation]:
    """The relations that hold in every world; a factor that changes from world to world is another loss's."""
    first, *others = found
    kept = []
    for one in first:
        like = [next((x for x in other if x.said == one.said), None) for other in others]
        if any(x is None for x in like):
            continue
        if one.ratio is None:
            kept.append(one)
            continue
        ratios = [one.ratio, *(x.ratio for x in like if x is not None and x.ratio is not None)]
        if len(ratios) > 1 and max(ratios) - min(ratios) > 1e-7 * max(map(abs, ratios)):
            said = "it is what it should be times a factor that changes from point to point"
            kept.append(Relation(Kind.LOSS, said))
        else:
            kept.append(Relation(one.kind, f"it is {_fraction(one.ratio)} times what it should be"))
    return kept
