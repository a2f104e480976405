"""The JAX twin: against the hand-written code, against loops over scalars, padded and not, and quiet about its host."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gradlab import cells
from gradlab.arithmetic.balls import balls, midpoints, precision
from gradlab.cells import cell
from gradlab.manual import rnn
from gradlab.oracles._rounding import rounding
from gradlab.problem import Problem
from gradlab.reference import twin
from gradlab.reference.cells import sigmoid
from gradlab.reference.twin import SMALLEST_BUCKET, Twin, differentiate

RNN = cell("rnn")
SIZES = {
    "one of each": (1, 1, 1, 1, 1),
    "below every bucket": (3, 2, 3, 2, 1),
    "exactly the bucket": (8, 4, 4, 4, 4),
    "above every bucket": (9, 5, 5, 6, 5),
}


def problem(T: int = 5, B: int = 2, I: int = 3, H: int = 4, O: int = 2, scale: float = 1.0, seed: int = 0) -> Problem:
    draw = np.random.default_rng([seed, T, B, I, H, O]).uniform
    params = rnn.Params(*(scale * draw(-1, 1, shape) for shape in ((I, H), (H, H), (H, O))))
    return Problem(params, draw(-1, 1, (T, B, I)), draw(0, 1, (T, B, O)), rnn.State(draw(0, 1, (B, H))))


def run(given: Problem, pad: bool = True, y: Any = None) -> Twin:
    params, state = given.params._asdict(), given.state._asdict()
    return differentiate("rnn", params, state, given.x, given.y if y is None else y, RNN.axes, RNN.nudges, pad)


def quantities(result: Twin) -> dict[str, Any]:
    found = dict(result.trace) | {"loss": result.loss}
    for quantity in RNN.quantities.values():
        if quantity.kind == "grad":
            found[quantity.name] = result.grads[quantity.by]
        elif quantity.kind == "delta":
            found[quantity.name] = result.deltas[quantity.by][quantity.losses]
    return found


def looped(given: Problem) -> dict[str, Any]:
    """Forward, and every derivative in forward mode, in loops over scalars: no matrix product, no recursion backward.

    moved[k][h] is ∂a(k)[h] by one nudge, carried from the step of the nudge to the end of the sequence.
    """
    T, B, I, H, O = (given.sizes[letter] for letter in "TBIHO")
    V, W, U = given.params
    a = [[[0.0] * H for _ in range(B)] for _ in range(T)]
    y_hat = [[[0.0] * O for _ in range(B)] for _ in range(T)]
    for t in range(T):
        for b in range(B):
            before = a[t - 1][b] if t else given.state.a_initial[b]
            for h in range(H):
                net = sum(given.x[t, b, i] * V[i, h] for i in range(I)) + sum(before[j] * W[j, h] for j in range(H))
                a[t][b][h] = 1 / (1 + np.exp(-net))
            for o in range(O):
                y_hat[t][b][o] = 1 / (1 + np.exp(-sum(a[t][b][h] * U[h, o] for h in range(H))))

    def output(t: int, b: int, o: int) -> Any:
        return (y_hat[t][b][o] - given.y[t, b, o]) * y_hat[t][b][o] * (1 - y_hat[t][b][o])

    def by_nudge(t: int, b: int, unit: int) -> list[Any]:
        """∂l(k) / ∂net_hidden(t)[b, unit] for every k."""
        moved = [a[t][b][h] * (1 - a[t][b][h]) if h == unit else 0.0 for h in range(H)]
        losses = [0.0] * T
        for k in range(t, T):
            if k > t:
                moved = [sum(moved[j] * W[j, h] for j in range(H)) * a[k][b][h] * (1 - a[k][b][h]) for h in range(H)]
            losses[k] = sum(output(k, b, o) * sum(moved[h] * U[h, o] for h in range(H)) for o in range(O))
        return losses

    found = {name: np.zeros((T, B, H)) for name in ("delta_explicit", "delta_implicit", "delta_hidden")}
    found["delta_output"] = np.array([[[output(t, b, o) for o in range(O)] for b in range(B)] for t in range(T)])
    for t, b, h in np.ndindex(T, B, H):
        losses = by_nudge(t, b, h)
        found["delta_explicit"][t, b, h] = losses[t]
        found["delta_implicit"][t, b, h] = sum(losses[t + 1 :])
        found["delta_hidden"][t, b, h] = sum(losses)
    hidden, previous = found["delta_hidden"], np.array([given.state.a_initial, *a[:-1]])
    found["grad_W_input"], found["grad_W_hidden"] = np.zeros((I, H)), np.zeros((H, H))
    found["grad_W_output"], found["grad_x"] = np.zeros((H, O)), np.zeros((T, B, I))
    found["grad_a_initial"] = np.zeros((B, H))
    for t, b, h in np.ndindex(T, B, H):
        for i in range(I):
            found["grad_W_input"][i, h] += given.x[t, b, i] * hidden[t, b, h]
            found["grad_x"][t, b, i] += V[i, h] * hidden[t, b, h]
        for j in range(H):
            found["grad_W_hidden"][j, h] += previous[t, b, j] * hidden[t, b, h]
            if t == 0:
                found["grad_a_initial"][b, j] += W[j, h] * hidden[0, b, h]
        for o in range(O):
            found["grad_W_output"][h, o] += a[t][b][h] * found["delta_output"][t, b, o]
    return found


def differences(ours: dict[str, Any], theirs: dict[str, Any], given: Problem) -> list[str]:
    """What lies further apart than two ways of multiplying out the same chain rule in float64 can.

    The units here are far from saturation, so a(1 - a) does not cancel.
    """
    derived = rounding(RNN, given)
    bound = derived.values | derived.derivatives
    return [name for name in ours if not (np.abs(ours[name] - theirs[name]) <= 2 * bound[name]).all()]


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e-6])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_it_agrees_with_the_hand_written_code(sizes: tuple[int, ...], scale: float) -> None:
    given = problem(*sizes, scale=scale)
    ours = quantities(run(given))
    assert set(ours) == set(RNN.quantities)
    assert differences(ours, cells.run(RNN, given.inputs()), given) == []


@pytest.mark.parametrize("scale", [1.0, 1e-6])
@pytest.mark.parametrize("seed", range(3))
def test_it_agrees_with_loops_over_scalars(seed: int, scale: float) -> None:
    given = problem(4, 2, 2, 3, 2, scale=scale, seed=seed)
    theirs = looped(given)
    ours = quantities(run(given))
    assert {q.name for kind in ("delta", "grad") for q in RNN.of_kind(kind)} == set(theirs)
    assert differences({name: ours[name] for name in theirs}, theirs, given) == []


def test_a_relative_error_of_a_part_in_1e12_is_a_difference() -> None:
    given = problem()
    ours = quantities(run(given))
    assert differences({k: v * (1 + 1e-12) for k, v in ours.items()}, ours, given) == list(ours)


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_padding_is_exact(sizes: tuple[int, ...]) -> None:
    """Padded terms are products by exact zeros, so only the order of the sums may change.

    A padded sum has the same terms that are not zero, so both results lie within `rounding` of the exact one; that is
    the proof. What it comes to: each step back reorders one sum of at most H + O terms, which moves its last bit, and
    the slopes, at most ¼, forget that within a step or two. So two ulp of the largest entry, and four above the bucket.
    """
    given = problem(*sizes)
    padded, exact = quantities(run(given)), quantities(run(given, pad=False))
    assert differences(padded, exact, given) == []
    for name, value in padded.items():
        ulps = 2 if max(sizes) <= 8 else 4
        assert (np.abs(value - exact[name]) <= ulps * np.spacing(np.abs(exact[name]).max())).all(), name


@pytest.mark.parametrize("pad", [True, False], ids=["padded", "not padded"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_every_array_is_cut_to_the_real_sizes(sizes: tuple[int, ...], pad: bool) -> None:
    given = problem(*sizes)
    result = run(given, pad)
    shapes = {name: tuple(given.sizes[letter] for letter in letters) for name, letters in RNN.axes.items()}
    assert {name: array.shape for name, array in result.trace.items()} == {n: shapes[n] for n in rnn.Trace._fields}
    assert result.loss.shape == (given.sizes["T"],)
    assert {name: array.shape for name, array in result.grads.items()} == {
        name: shapes[name] for name in ("x", *rnn.Params._fields, *rnn.State._fields)
    }
    for name in RNN.nudges:
        assert {part: a.shape for part, a in result.deltas[name].items()} == dict.fromkeys(
            ("all", "own", "later"), shapes[name]
        )
    arrays = [*result.trace.values(), result.loss, *result.grads.values()]
    assert {array.dtype for array in arrays} == {np.dtype(np.float64)}


def test_padding_that_leaks_is_caught() -> None:
    """The same check on a problem whose padding is not zero: one more hidden unit with a weight of 1e-9."""
    given = problem(4, 2, 2, 3, 2)
    wider = [np.pad(w, [(0, 4 - n if n == 3 else 0) for n in w.shape]) for w in given.params]
    wider[2][3] = 1e-9
    leaking = Problem(rnn.Params(*wider), given.x, given.y, rnn.State(np.pad(given.state.a_initial, [(0, 0), (0, 1)])))
    leaked, right = ({"delta_output": quantities(run(p))["delta_output"]} for p in (leaking, given))
    assert differences(leaked, right, given) == ["delta_output"]


def test_sixty_shapes_in_one_bucket_compile_once() -> None:
    rng = np.random.default_rng(1)
    run(problem(1, 1, 1, 1, 1))
    compiled = twin._derivatives._cache_size()
    shapes = {tuple(int(rng.integers(1, 1 + SMALLEST_BUCKET[letter])) for letter in "TBIHO") for _ in range(80)}
    assert len(shapes) >= 60
    for sizes in sorted(shapes)[:60]:
        run(problem(*sizes))
    assert twin._derivatives._cache_size() == compiled


@pytest.mark.parametrize(
    ("letter", "n", "bucket"),
    [("T", 1, 8), ("T", 8, 8), ("T", 9, 16), ("T", 16, 16), ("T", 17, 32), ("H", 4, 4), ("H", 5, 8), ("G", 3, 3)],
)
def test_the_bucket_of_a_size(letter: str, n: int, bucket: int) -> None:
    assert twin._bucket(letter, n) == bucket


def test_the_jax_configuration_is_the_user_s() -> None:
    """In a process of its own, where nothing else may have set it."""
    script = """
import jax, jax.numpy as jnp, numpy as np
import tests_twin_problem as here
before = {name: getattr(jax.config, name) for name in ("jax_enable_x64", "jax_default_device", "jax_platforms")}
assert jnp.ones(2).dtype == jnp.float32
assert here.run(here.problem()).loss.dtype == np.float64
after = {name: getattr(jax.config, name) for name in before}
assert before == after, (before, after)
assert jnp.ones(2).dtype == jnp.float32 and jax.jit(lambda z: z + 1.0)(1).dtype == jnp.float32
print("unchanged")
"""
    load = "import importlib.util as u, sys; s = u.spec_from_file_location('tests_twin_problem', sys.argv[1]); "
    load += "m = u.module_from_spec(s); sys.modules[s.name] = m; s.loader.exec_module(m)\n"
    done = subprocess.run([sys.executable, "-c", load + script, __file__], capture_output=True, text=True, check=False)
    assert done.stdout == "unchanged\n", done.stderr


def test_the_jax_configuration_is_the_user_s_here_too() -> None:
    before = jax.config.jax_enable_x64, jnp.ones(2).dtype
    run(problem())
    assert (jax.config.jax_enable_x64, jnp.ones(2).dtype) == before
    assert before == (False, jnp.float32)


@pytest.mark.parametrize("t", range(4))
def test_the_explicit_delta_knows_nothing_of_later_losses(t: int) -> None:
    given = problem(4, 2, 2, 3, 2)
    later = given.y.copy()
    later[t + 1 :] = 1 - later[t + 1 :]
    one, other = run(given), run(given, y=later)
    for name in RNN.nudges:
        assert np.array_equal(one.deltas[name]["own"][: t + 1], other.deltas[name]["own"][: t + 1]), name
        assert t == 3 or not np.array_equal(one.deltas[name]["own"], other.deltas[name]["own"]), name


@pytest.mark.parametrize("t", range(4))
def test_the_implicit_delta_knows_nothing_of_its_own_loss(t: int) -> None:
    given = problem(4, 2, 2, 3, 2)
    own = given.y.copy()
    own[t] = 1 - own[t]
    one, other = run(given).deltas["net_hidden"], run(given, y=own).deltas["net_hidden"]
    assert np.array_equal(one["later"][t:], other["later"][t:])
    assert t == 0 or not np.array_equal(one["later"][:t], other["later"][:t])


def test_what_is_zero_by_structure_is_exactly_zero() -> None:
    result = run(problem())
    assert not result.deltas["net_hidden"]["later"][-1].any()
    assert not result.deltas["net_output"]["later"].any()
    assert np.array_equal(result.deltas["net_output"]["own"], result.deltas["net_output"]["all"])


TAILS = np.array([0.0, 1e-3, -1e-3, 1.0, -1.0, 40.0, -40.0, 700.0, -700.0])


def sigmoid_errors(function: Any, slope: Any) -> tuple[Any, Any]:
    """Relative errors, in units of 2⁻⁵³, of a sigmoid and its derivative at TAILS."""
    with precision(2400):  # e⁻⁷⁰⁰ is 2⁻¹⁰¹⁰, and 1 - σ(700) cancels that far
        z = balls(TAILS)
        value = 1 / (1 + np.exp(-z))
        exact = value, value * (1 - value)
        with jax.enable_x64(True):
            got = np.asarray(function(jnp.asarray(TAILS))), np.asarray(jax.vmap(slope)(jnp.asarray(TAILS)))
        return tuple(midpoints(abs(balls(g) / e - 1)) * 2.0**53 for g, e in zip(got, exact, strict=True))


def test_the_sigmoid_and_its_slope_in_both_tails() -> None:
    """The value: exp to 4 ulp (8 u), a sum, a quotient; the slope: two exps' worth, and the products of the chain."""
    value, slope = sigmoid_errors(sigmoid, jax.grad(sigmoid))
    assert (value <= 10).all(), dict(zip(TAILS, value, strict=True))
    assert (slope <= 24).all(), dict(zip(TAILS, slope, strict=True))


def test_a_sigmoid_that_cancels_is_caught() -> None:
    def usual(z: Any) -> Any:
        return 1 / (1 + jnp.exp(-z))

    _, slope = sigmoid_errors(usual, lambda z: usual(z) * (1 - usual(z)))
    assert slope[list(TAILS).index(40.0)] > 1e15
    assert slope[0] <= 24


def test_the_slope_at_zero_is_a_quarter() -> None:
    with jax.enable_x64(True):
        assert float(sigmoid(jnp.asarray(0.0))) == 0.5 and float(jax.grad(sigmoid)(jnp.asarray(0.0))) == 0.25
        assert float(jax.grad(sigmoid)(jnp.asarray(-0.0))) == 0.25
