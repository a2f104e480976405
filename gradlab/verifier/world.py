"""A document's network at one random point: every symbol's value at every step, and every derivative.

The forward definitions run on the tape of `gradlab.arithmetic`, on balls. Each symbol at each step is a node of its
own, so that "nudge it and recompute everything downstream" is one reverse pass.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from functools import cached_property
from itertools import product
from random import Random
from typing import Any

import numpy as np

from gradlab.arithmetic.ball import Ball, balls
from gradlab.arithmetic.tape import Variable, gradient, variables
from gradlab.verifier.evaluate import Clock, NoSuchStep, Program, compiled
from gradlab.verifier.limits import Limits
from gradlab.verifier.scope import Scope, Symbol
from gradlab.verifier.shapes import Shape, Trouble, shape_of
from gradlab.verifier.terms import Arbitrary, Derivative, Name, Term, letters, walk

Key = tuple[str, int | None]


class Programs:
    """The compiled terms of a document, each compiled once for all points, steps and precisions.

    Args:
        scope: every symbol of the document.
        terms: the sides of its claims: they tell of which weights the copies at single steps are wanted.
        limits: of the time and the memory of the document.
    """

    def __init__(self, scope: Scope, terms: Iterable[Term] = (), limits: Limits | None = None) -> None:
        self.scope = scope
        self.limits = limits or Limits()
        bodies = [symbol.body for symbol in scope.symbols.values() if symbol.body is not None]
        below = [part.by for term in (*terms, *bodies) for part in walk(term) if isinstance(part, Derivative)]
        weights = {s.name for s in scope.symbols.values() if s.kind == "given" and not s.timed}
        self.below = weights | {by.name for by in below}
        self.copied = {by.name for by in below if by.time is not None and not scope.symbols[by.name].timed}
        self._found: dict[Term, Program] = {}
        self.sides: dict[Term, set[bool]] = {}

    def __call__(self, term: Term) -> Program:
        found = self._found.get(term)
        if found is None:
            found = self._found[term] = compiled(term, self.scope)
        return found

    def tick(self) -> None:
        """Raise OutOfTime if the limits are used up."""
        self.limits.tick()

    def note(self, term: Term, argument: Any) -> None:
        """Keep on which sides of 0 the arguments of a piecewise function lay."""
        sides = self.sides.setdefault(term, set())
        if len(sides) < 2:
            entries = np.ravel(np.asarray(argument, dtype=object))
            sides.update(bool((x.value if type(x) is Variable else x) > 0) for x in entries)

    def relevant(self, term: Term, clock: Clock) -> tuple[tuple[str, int], ...]:
        """What of the clock a term's value depends on: its own letters, and the step if it uses a copied weight."""
        needed = letters(term)
        if self.copied and any(isinstance(part, Name) and part.name in self.copied for part in walk(term)):
            needed.add("t")
        return tuple(sorted((letter, step) for letter, step in clock.items() if letter in needed))


class World:
    """The forward pass on the tape. Everything before the step `start` is held constant."""

    def __init__(self, programs: Programs, point: int, start: int = 0, past: World | None = None) -> None:
        self.programs, self.scope = programs, programs.scope
        self.point, self.start, self.past = point, start, past
        self.nodes: dict[Key, Any] = {}
        self._underway: set[Key] = set()
        self._adjoints: dict[Any, list[dict[Key, Any]]] = {}
        for step in range(max(start, self.scope.first), self.scope.range().stop):  # so no recursion over steps is deep
            for symbol in self.scope.symbols.values():
                if symbol.kind == "forward" and symbol.timed:
                    self._try(symbol.name, step)

    def tick(self) -> None:
        self.programs.tick()

    def _try(self, name: str, step: int) -> None:
        self.tick()
        with suppress(NoSuchStep, Trouble, KeyError):  # said where a claim needs it
            self.node(name, step)

    def name(self, name: Name, clock: Clock) -> Any:
        time = None if name.time is None else name.time.at(clock)
        if time is None and "t" in clock and self.scope.symbols[name.name].kind == "given":
            return self._copy(name.name, clock["t"])
        return self.node(name.name, time)

    def number(self, value: Fraction) -> Any:
        return Ball(value.numerator) if value.denominator == 1 else Ball(value.numerator) / Ball(value.denominator)

    def derivative(self, term: Derivative, clock: Clock) -> Any:
        raise Trouble("undefined", "the derivative of a derivative has no meaning here", term.at)

    def node(self, name: str, time: int | None) -> Any:
        """The Variables of a symbol at a step.

        Raises:
            NoSuchStep: it does not exist then.
            Trouble: it was never defined, or is defined by itself at the same step.
        """
        key = (name, time)
        found = self.nodes.get(key)
        if found is None:
            found = self.nodes[key] = self._made(key)
        return found

    def _made(self, key: Key) -> Any:
        name, time = key
        symbol = self.scope.symbols[name]
        if self.past is not None and (symbol.kind == "given" if time is None else time < self.start):
            return variables(values_of(self.past.node(name, time)))
        if time is not None and time in symbol.starts:
            return _as_variables(self.programs(symbol.starts[time])(self, self.scope.clock(None)), symbol.shape.dims)
        if symbol.ahead and time is not None and time >= self.scope.range().stop:
            return variables(random_balls(self.point, key, symbol.shape.dims, symbol.values))
        if symbol.values in ("identity", "ones"):
            made = (
                np.eye(symbol.shape.dims[0], dtype=int)
                if symbol.values == "identity"
                else np.ones(symbol.shape.dims, int)
            )
            return variables(balls(made))
        is_before = time is not None and time in symbol.before and not time >= self.scope.first + symbol.shift
        if (
            symbol.kind == "given"
            or is_before
            or (time is not None and time < self.scope.first + symbol.shift and symbol.shift > 0)
        ):
            if time is not None and time not in symbol.before and symbol.shift <= 0:
                if time not in self.scope.range():
                    raise NoSuchStep
                if not symbol.at_steps:
                    raise Trouble("undefined", f"{symbol.text} is declared before step 0 only and never defined")
            return variables(random_balls(self.point, key, symbol.shape.dims, symbol.values))
        low, high = self.scope.first + symbol.shift, self.scope.range().stop + symbol.shift
        if symbol.timed and time is not None and not min(low, self.scope.first) <= time < high:
            raise NoSuchStep
        if key in self._underway:
            raise Trouble("undefined", f"{symbol.text} is defined by itself at the same step")
        self._underway.add(key)
        try:
            assert symbol.body is not None
            clock = self.scope.clock(time)
            if symbol.indices:
                return self._by_entries(symbol, clock)
            return _as_variables(self.programs(symbol.body)(self, clock), symbol.shape.dims)
        finally:
            self._underway.remove(key)

    def _by_entries(self, symbol: Symbol, clock: Clock) -> Any:
        """The value of a symbol of which a definition gives each entry."""
        assert symbol.body is not None
        program, dims = self.programs(symbol.body), symbol.shape.dims
        axes = [size for size in dims if size != 1] if len(symbol.indices) == 1 else list(dims)
        entries = []
        for at in product(*(range(self.scope.base, self.scope.base + size) for size in axes)):
            self.tick()
            found = program(self, {**clock, **dict(zip(symbol.indices, at, strict=True))})
            entries.append(np.asarray(found, dtype=object).reshape(-1)[0])
        return _as_variables(np.array(entries, dtype=object), dims)

    def note(self, term: Term, argument: Any) -> None:
        self.programs.note(term, argument)

    def generic(self, name: str, primed: bool) -> Any:
        return smooth(self.point, name, primed)

    def arbitrary(self, term: Arbitrary, clock: Clock) -> Any:
        """An arbitrary smooth function of all entries of several terms, at all steps if `everywhere`."""
        clocks = [{**clock, "t": step} for step in self.scope.range()] if term.everywhere else [clock]
        inner = []
        for each in clocks:
            for argument in term.arguments:
                with suppress(NoSuchStep):
                    inner.append(np.ravel(np.asarray(self.programs(argument)(self, each), dtype=object)))
        dims = self.scope.symbols[term.name].shape.dims
        return mixed(self.point, term.name, np.concatenate(inner), dims)

    def _copy(self, name: str, step: int) -> Any:
        """The copy of a weight that step `step` alone uses, where some derivative asks for it."""
        whole = self.node(name, None)
        if name not in self.programs.copied:
            return whole
        key = (name, step)
        if key not in self.nodes:
            self.nodes[key] = np.asarray(whole + 0, dtype=object)
        return self.nodes[key]

    def adjoints(self, of: Term, clock: Clock) -> list[dict[Key, Any]]:
        """For each entry of a term, in order, its derivative by every node that the document differentiates by."""
        key = (of, self.programs.relevant(of, clock))
        found = self._adjoints.get(key)
        if found is None:
            entries = [
                x if type(x) is Variable else Variable(Ball(x))
                for x in np.ravel(np.asarray(self.programs(of)(self, clock), dtype=object))
            ]
            keys = [key for key in self.nodes if key[0] in self.programs.below]
            arrays = [self.nodes[key] for key in keys]
            ends = np.cumsum([array.size for array in arrays])[:-1]
            flat = np.concatenate([np.ravel(array) for array in arrays])
            found = self._adjoints[key] = []
            for entry in entries:
                self.tick()
                pieces = np.split(gradient(entry, flat), ends)
                shaped = (piece.reshape(array.shape) for piece, array in zip(pieces, arrays, strict=True))
                found.append(dict(zip(keys, shaped, strict=True)))
        return found


class Balls:
    """Values of terms at one random point, as balls: what claims are judged by. Use under one precision."""

    def __init__(self, programs: Programs, point: int) -> None:
        self.programs, self.scope, self.point = programs, programs.scope, point
        self._worlds: dict[int, World] = {}
        self._known: dict[Key | tuple[Derivative, Any], Any] = {}

    @cached_property
    def world(self) -> World:
        """The whole forward pass."""
        return World(self.programs, self.point)

    def value(self, term: Term, clock: Clock) -> Any:
        """The balls of a term, by its shape.

        Raises:
            NoSuchStep, Trouble: as `World.node`.
        """
        return self.programs(term)(self, clock)

    def number(self, value: Fraction) -> Any:
        return self.world.number(value)

    def tick(self) -> None:
        self.programs.tick()

    def note(self, term: Term, argument: Any) -> None:
        self.programs.note(term, argument)

    def generic(self, name: str, primed: bool) -> Any:
        return smooth(self.point, name, primed)

    def arbitrary(self, term: Arbitrary, clock: Clock) -> Any:
        return values_of(self.world.arbitrary(term, clock))

    def name(self, name: Name, clock: Clock) -> Any:
        key = (name.name, None if name.time is None else name.time.at(clock))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._named(*key)
        return found

    def _named(self, name: str, time: int | None) -> Any:
        symbol = self.scope.symbols[name]
        if symbol.kind != "derivative":
            return values_of(self.world.node(name, time))
        assert symbol.body is not None
        clock = self.scope.clock(time)
        if symbol.indices:
            return self._by_entries(symbol, clock)
        found = self.value(symbol.body, clock)
        return np.reshape(found, symbol.shape.dims) if np.size(found) == np.prod(symbol.shape.dims) else found

    def _by_entries(self, symbol: Symbol, clock: Clock) -> Any:
        assert symbol.body is not None
        dims = symbol.shape.dims
        axes = [size for size in dims if size != 1] if len(symbol.indices) == 1 else list(dims)
        entries = []
        for at in product(*(range(self.scope.base, self.scope.base + size) for size in axes)):
            found = self.value(symbol.body, {**clock, **dict(zip(symbol.indices, at, strict=True))})
            entries.append(np.asarray(found, dtype=object).reshape(-1)[0])
        return np.array(entries, dtype=object).reshape(dims)

    def derivative(self, term: Derivative, clock: Clock) -> Any:
        key = (term, self.programs.relevant(term, clock))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._derived(term, clock)
        return found

    def _derived(self, term: Derivative, clock: Clock) -> Any:
        step = None if term.by.time is None else term.by.time.at(clock)
        shape = shape_of(term, self.scope)
        below = self.scope.symbols[term.by.name].shape.dims
        symbol = self.scope.symbols[term.by.name]
        if step is not None and step >= self.scope.range().stop + symbol.shift and not symbol.ahead:
            return np.full(shape.dims, Ball(0))
        world = self._world(self._start(term, step, clock))
        if step is None or self.scope.symbols[term.by.name].timed:
            world.node(term.by.name, step)
        elif step < self.scope.first:
            raise NoSuchStep
        key = (term.by.name, step)
        nothing = np.full(below, Ball(0))
        rows = [adjoint.get(key, nothing) for adjoint in world.adjoints(term.of, clock)]
        return _in_layout(np.stack(rows), shape, self.scope.layout)

    def _start(self, term: Derivative, step: int | None, clock: Clock) -> int:
        """The step before which everything may be held constant.

        For a total derivative by a node at a step, nothing earlier depends on the node, so holding it only saves work.
        """
        if term.immediate:
            times = self._times(term, clock)
            if not times:
                raise Trouble("undefined", "an immediate derivative needs something at a time above ∂", term.at)
            return max(self.scope.first, *times)
        is_scalar = shape_of(term.of, self.scope).is_scalar
        return self.scope.first if step is None or is_scalar else max(self.scope.first, step)

    def _times(self, term: Derivative, clock: Clock) -> list[int]:
        """The steps of what is differentiated; none where it sums over steps, or holds what depends on all of them."""
        names = [part for part in walk(term.of) if isinstance(part, Name)]
        if not term.immediate and any(
            name.time is None and self.scope.symbols[name.name].kind != "given" for name in names
        ):
            return []
        try:
            return [name.time.at(clock) for name in names if name.time is not None]
        except KeyError:  # a letter that a sum within it binds
            return []

    def _world(self, start: int) -> World:
        if start == self.scope.first:
            return self.world
        if start not in self._worlds:
            self._worlds[start] = World(self.programs, self.point, start, self.world)
        return self._worlds[start]


NEAR = 3
POSITIVE = 1000
"""From this point on every given symbol is positive: where a logarithm or a root is not defined otherwise."""


def random_balls(point: int, key: Key, dims: tuple[int, ...], values: str = "") -> Any:
    """Exact random numbers of magnitude 0.1 … 1 and either sign; the same for the same point and key, always.

    values: "one-hot", "probabilities" (in each row, or column) or "positive", or "" for any.
    """
    random = Random(f"{point} {key}")
    if values in ("one-hot", "probabilities"):
        return _distributed(random, dims, values)
    if values == "positive" or point >= POSITIVE:
        found = [Ball(random.randrange(103, 1024) / 1024) for _ in range(int(np.prod(dims)))]
        return np.array(found, dtype=object).reshape(dims)
    # The first points are near 1; the others, which look for the other side of a maximum, at any scale.
    scale = 2.0 ** (random.randrange(-3, 3) if point > NEAR else 0)
    size = int(np.prod(dims))
    entries = [Ball(random.choice((-1, 1)) * random.randrange(103, 1024) / 1024 * scale) for _ in range(size)]
    return np.array(entries, dtype=object).reshape(dims)


def _distributed(random: Random, dims: tuple[int, ...], values: str) -> Any:
    rows, columns = (1, int(np.prod(dims))) if 1 in dims or not dims else dims
    found: list[Any] = []
    for _ in range(rows):
        if values == "one-hot":
            place = random.randrange(columns)
            found += [Ball(int(column == place)) for column in range(columns)]
        else:
            weights = [random.randrange(103, 1024) for _ in range(columns)]
            found += [Ball(weight) / Ball(sum(weights)) for weight in weights]
    return np.array(found, dtype=object).reshape(dims)


def smooth(point: int, name: str, primed: bool) -> Any:
    """An arbitrary smooth function of each entry, another one at each point; its slope is not always the same."""
    random = Random(f"smooth {point} {name}")
    a, b, c = (Fraction(random.randrange(600, 1400), 1000) for _ in range(3))
    wave, shift, slope = (Ball(x.numerator) / Ball(x.denominator) for x in (a, b, c))

    def value(z: Any) -> Any:
        return np.sin(np.asarray(z, dtype=object) * wave + shift) + np.asarray(z, dtype=object) * slope

    def derivative(z: Any) -> Any:
        return np.cos(np.asarray(z, dtype=object) * wave + shift) * wave + slope

    return derivative if primed else value


def mixed(point: int, name: str, inner: Any, dims: tuple[int, ...]) -> Any:
    """An arbitrary smooth function of many numbers, which mixes them all."""
    random = Random(f"mixed {point} {name}")
    entries = []
    for _ in range(int(np.prod(dims)) if dims else 1):
        weights = [Ball(random.choice((-1, 1)) * random.randrange(103, 1024) / 1024) for _ in inner]
        total = sum((x * weight for x, weight in zip(inner, weights, strict=True)), Ball(0))
        squares = sum((x * x * weight for x, weight in zip(inner, reversed(weights), strict=True)), Ball(0))
        entries.append(np.sin(total + Ball(0.25)) + total * Ball(0.5) + squares * Ball(0.125))
    return np.array(entries, dtype=object).reshape(dims)


def _in_layout(rows: Any, shape: Shape, layout: str) -> Any:
    """The derivatives, a row for each entry of the numerator, in the shape that the layout gives them."""
    over, under = shape.over or (1, 1), shape.under or (1, 1)
    if layout == "numerator" and over == (1, 1):
        return rows.reshape(under).T
    if layout == "denominator" and over != (1, 1) and len(shape.dims) == 2:
        return rows.reshape(shape.dims[::-1]).T
    return rows.reshape(shape.dims)


def values_of(array: Any) -> Any:
    """The balls in an array of Variables and balls."""
    flat = [x.value if type(x) is Variable else x for x in np.ravel(np.asarray(array, dtype=object))]
    return np.array(flat, dtype=object).reshape(np.shape(array))


def _as_variables(array: Any, dims: tuple[int, ...]) -> Any:
    """Nodes of their own: a definition that only renames another symbol is a node too, and so is a constant."""
    flat = [x + 0 if type(x) is Variable else Variable(Ball(x)) for x in np.ravel(np.asarray(array, dtype=object))]
    if len(flat) != int(np.prod(dims)):
        raise Trouble("shape", f"a definition gives {len(flat)} entries where its symbol has {int(np.prod(dims))}")
    return np.array(flat, dtype=object).reshape(dims)
