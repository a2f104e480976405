"""An independent witness: every derivative in the shipped documents, held against jax in float64.

JAX shares no code with the tape: a node is nudged, everything downstream is recomputed, and jax differentiates.
"""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradlab.arithmetic.balls import midpoints, precision
from gradlab.verifier.document import read
from gradlab.verifier.evaluate import NoSuchStep
from gradlab.verifier.reading import Derivation, resolve
from gradlab.verifier.terms import (
    Add,
    Apply,
    Derivative,
    Diagonal,
    Elementwise,
    ElementwisePower,
    Name,
    Negative,
    Number,
    Ones,
    Power,
    Product,
    Quotient,
    SquaredNorm,
    Subtract,
    Sum,
    Term,
    Transpose,
    walk,
)
from gradlab.verifier.world import random_balls

DOCUMENTS = sorted((Path(__file__).parents[2] / "derivations").glob("*.md"))
CLAIMED = 6  # of the derivatives in the claims of a document; those of its ∂-definitions are all compared
FUNCTIONS = {"sigma": jax.nn.sigmoid, "tanh": jnp.tanh, "exp": jnp.exp, "log": jnp.log}


class Jax:
    """The forward pass with one node nudged by `by`; before the step `frozen` every other state is a constant."""

    def __init__(self, derivation: Derivation, key: Any = None, nudge: Any = None, frozen: int = -9) -> None:
        self.scope, self.key, self.nudge, self.frozen = derivation.scope, key, nudge, frozen
        self.derivation = derivation
        self.known: dict[Any, Any] = {}

    def node(self, name: str, time: int | None, copy: int | None = None) -> Any:
        key = (name, time)
        if key not in self.known:
            self.known[key] = self.made(name, time)
            if key == self.key:
                self.known[key] = self.known[key] + self.nudge
        if time is None and (name, copy) == self.key and copy is not None:
            return self.known[key] + self.nudge
        return self.known[key]

    def made(self, name: str, time: int | None) -> Any:
        symbol = self.scope.symbols[name]
        given = symbol.kind == "given" or time in symbol.before
        if time is not None and time < self.frozen:
            if (name, time) == self.key or given:
                return Jax(self.derivation).node(name, time)
            return jax.lax.stop_gradient(Jax(self.derivation).node(name, time))
        if given:
            return jnp.asarray(midpoints(random_balls(0, (name, time), symbol.shape.dims)))
        if symbol.timed and not 0 <= time < self.scope.steps:
            raise NoSuchStep
        assert symbol.body is not None
        return self.value(symbol.body, {"T": self.scope.steps} | ({} if time is None else {"t": time}))

    def value(self, term: Term, clock: dict[str, int]) -> Any:
        def of(part: Term) -> Any:
            return self.value(part, clock)

        match term:
            case Number(value):
                return jnp.asarray(float(value))
            case Ones(size):
                return jnp.ones((1, self.scope.sizes[size])) if size else jnp.asarray(1.0)
            case Name(name, time):
                return self.node(name, None if time is None else time.at(clock), clock.get("t"))
            case Negative(inner):
                return -of(inner)
            case Add(left, right):
                return of(left) + of(right)
            case Subtract(left, right):
                return of(left) - of(right)
            case Elementwise(left, right):
                return of(left) * of(right)
            case Product(left, right):
                a, b = of(left), of(right)
                return a * b if a.size == 1 or b.size == 1 else a @ b
            case Quotient(left, right):
                return of(left) / of(right)
            case Transpose(inner):
                return of(inner).T
            case Power(inner, n) | ElementwisePower(inner, n):
                return of(inner) ** n
            case Apply(function, inner):
                return FUNCTIONS[function](of(inner))
            case Diagonal(inner):
                return jnp.diag(of(inner).ravel())
            case SquaredNorm(inner):
                return jnp.sum(of(inner) ** 2).reshape(1, 1)
            case Sum(letter, low, high, inner):
                return sum(self.value(inner, clock | {letter: k}) for k in range(low.at(clock), high.at(clock) + 1))
        raise TypeError(type(term))


def jacobian(derivation: Derivation, term: Derivative, clock: dict[str, int]) -> np.ndarray:
    step = None if term.by.time is None else term.by.time.at(clock)
    times = [part.time.at(clock) for part in walk(term.of) if isinstance(part, Name) and part.time is not None]
    frozen = max(times) if term.immediate else -9
    zero = jnp.zeros(derivation.scope.symbols[term.by.name].shape.dims)

    def nudged(nudge: Any) -> Any:
        return Jax(derivation, (term.by.name, step), nudge, frozen).value(term.of, clock)

    return np.asarray(jax.jacobian(nudged)(zero))


def derivatives(derivation: Derivation) -> Iterator[Derivative]:
    """Every derivative in the document, those of the ∂-definitions first."""
    bodies = [symbol.body for symbol in derivation.scope.symbols.values() if symbol.body is not None]
    good = [link for link in derivation.links if not link.finding.verdict]
    sides = [side for link in good for side in (link.left, link.right) if side is not None]
    inside = (
        (part for term in terms for part in walk(term) if isinstance(part, Derivative)) for terms in (bodies, sides)
    )
    definitions, claims = (list(dict.fromkeys(found)) for found in inside)
    yield from dict.fromkeys(definitions + claims[:CLAIMED])


@cache
def derivation(path: Path) -> Derivation:
    return resolve(read(path))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_every_derivative_is_what_jax_finds(path: Path) -> None:
    found, compared = derivation(path), 0
    with jax.enable_x64(True), precision(128):
        for term in derivatives(found):
            clock = {"T": found.scope.steps, "t": 2, "k": 3}
            try:
                balls = midpoints(found.judge.balls(0).derivative(term, clock))
            except NoSuchStep:
                continue
            if term.by.time is not None and term.by.time.at(clock) >= found.scope.steps:
                assert not balls.any()
                continue
            expected = jacobian(found, term, clock).reshape(balls.shape)
            np.testing.assert_allclose(balls, expected, rtol=1e-11, atol=1e-14, err_msg=str(term))
            compared += 1
    assert compared or not any(True for _ in derivatives(found))


def test_the_witness_sees_a_wrong_derivative() -> None:
    found = derivation(next(path for path in DOCUMENTS if path.stem == "rnn"))
    terms = {str(term.of): term for term in derivatives(found)}
    one = next(term for term in terms.values() if isinstance(term.of, Name) and term.of.name == "l")
    clock = {"T": found.scope.steps, "t": 1, "k": 3}
    with jax.enable_x64(True), precision(128):
        balls = midpoints(found.judge.balls(0).derivative(one, clock))
        other = jacobian(found, one, clock | {"t": 2}).reshape(balls.shape)
    assert not np.allclose(balls, other, rtol=1e-3)
