"""The hand-written Elman network: its values, its deltas against the textbook's double loop, and its form.

u = 2⁻⁵³, γ(n) = n u / (1 - n u): a result of at most n roundings on each path from data to result is off by at most
γ(n) times the same expression of magnitudes (Higham, Accuracy and Stability, section 3.4).
"""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from gradlab.manual import gates, rnn
from gradlab.problem import Array

U = 2.0**-53
DTYPES = (np.float32, np.float64, np.complex128)
SIZES = {"T": 5, "B": 2, "I": 3, "H": 4, "O": 6}
T, B, I, H, O = SIZES.values()


def _gamma(n: int) -> float:
    return n * U / (1 - n * U)


@pytest.fixture(autouse=True)
def _no_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


Run = tuple[rnn.Params, Array, Array, rnn.State]


def _given(dtype: Any = np.float64, stack: tuple[int, ...] = (), scale: float = 1.0, seed: int = 0) -> Run:
    draw = np.random.default_rng(seed)

    def normal(*shape: int) -> Array:
        return draw.normal(size=shape).astype(dtype)

    params = rnn.Params(*(scale * normal(*stack, *shape) for shape in ((I, H), (H, H), (H, O))))
    y = draw.random((T, *stack, B, O)).astype(dtype)
    return rnn.Params(*(w.astype(dtype) for w in params)), normal(T, *stack, B, I), y, rnn.State(normal(*stack, B, H))


def _leaves(value: Any) -> list[Any]:
    return [leaf for part in value for leaf in _leaves(part)] if isinstance(value, tuple) else [value]


def _backward(given: Run) -> tuple[rnn.Trace, rnn.Grads]:
    params, x, y, state = given
    trace = rnn.forward(params, x, state)
    return trace, rnn.bptt(params, x, y, state, trace)


@pytest.mark.parametrize("dtype", DTYPES, ids=lambda d: d.__name__)
def test_every_value_keeps_the_dtype(dtype: Any) -> None:
    given = _given(dtype)
    trace, grads = _backward(given)
    loss = rnn.loss(trace.y_hat, given[2])
    assert {leaf.dtype for leaf in _leaves((trace, grads, loss))} == {np.dtype(dtype)}


STEP = 1e-30


@pytest.mark.parametrize("name", ["x", "W_input", "W_output", "W_hidden", "a_initial"])
def test_a_complex_step_in_one_array_alone_is_the_gradient(name: str) -> None:
    """One array complex and all others real: dL/darray to within rounding, no imaginary part is dropped."""
    params, x, y, state = _given()
    arrays = {"x": x} | params._asdict() | state._asdict()
    direction = np.random.default_rng(9).normal(size=arrays[name].shape)
    moved = arrays | {name: arrays[name] + 1j * STEP * direction}
    trace = rnn.forward(rnn.Params(*(moved[n] for n in rnn.Params._fields)), moved["x"], rnn.State(moved["a_initial"]))
    got = rnn.loss(trace.y_hat, y).total.imag / STEP
    _, grads = _backward((params, x, y, state))
    grad = ({"x": grads.x} | grads.params._asdict() | grads.state._asdict())[name]
    # at most 40 roundings a step on each of the two paths; magnitudes here exceed the value less than a thousandfold
    assert abs(got - (grad * direction).sum()) <= 1000 * _gamma(80 * T) * abs(grad * direction).sum()


def test_nothing_given_is_modified() -> None:
    given = _given()
    trace = rnn.forward(given[0], given[1], given[3])
    before = [leaf.copy() for leaf in _leaves((given, trace))]
    rnn.loss(trace.y_hat, given[2])
    rnn.bptt(*given, trace)
    assert all(np.array_equal(a, b) for a, b in zip(_leaves((given, trace)), before, strict=True))


def test_nothing_given_need_be_writable() -> None:
    given = _given()
    for leaf in _leaves(given):
        leaf.setflags(write=False)
    _backward(given)


def test_a_gradient_has_the_type_of_what_it_differentiates() -> None:
    params, x, y, state = _given()
    trace, grads = _backward((params, x, y, state))
    assert type(grads.params) is rnn.Params and type(grads.state) is rnn.State and type(grads.deltas) is rnn.Deltas
    assert [g.shape for g in grads.params] == [w.shape for w in params]
    assert grads.x.shape == x.shape and grads.state.a_initial.shape == state.a_initial.shape
    assert grads.deltas.hidden.shape == trace.net_hidden.shape and grads.deltas.output.shape == trace.net_output.shape


# What the second seed prints and is right: all weights 1, three hidden units, input [0, 1].
ONES = rnn.Params(np.ones((2, 3)), np.ones((3, 3)), np.ones((3, 1)))
BITS = np.array([[[0.0, 1.0]]])
HALF = np.full((1, 3), 0.5)


def test_golden_pre_activation_from_a_state_of_ones() -> None:
    assert rnn.forward(ONES, BITS, rnn.State(np.ones((1, 3)))).net_hidden.tolist() == [[[4, 4, 4]]]


def test_golden_dense_output_from_ones() -> None:
    assert gates.multiply(np.ones((1, 3)), ONES.W_output).tolist() == [[3]]


@pytest.mark.parametrize("weights", [np.ones((3, 3)), ONES.W_hidden], ids=["from the output", "from the next step"])
def test_golden_recursive_delta(weights: Array) -> None:
    """An error of ones from either side alone, activation ½; the seed's had three entries, as of three outputs."""
    error, _ = gates.multiply_backward(np.ones((1, 3)), HALF, weights)
    assert gates.sigmoid_backward(error, HALF).tolist() == [[0.75, 0.75, 0.75]]


def test_golden_outputs_from_a_zero_state() -> None:
    trace = rnn.forward(ONES, BITS, rnn.State(np.zeros((1, 3))))
    assert trace.net_hidden.tolist() == [[[1, 1, 1]]]
    assert abs(trace.net_output.item() - 2.19317574) < 5e-9  # printed to eight decimals


def _textbook(params: rnn.Params, y: Array, trace: rnn.Trace) -> tuple[Array, Array]:
    """delta_explicit(t), and Σ_{k>t} delta_explicit(k) ∂net_hidden(k)/∂net_hidden(t), the Jacobians multiplied out.

    Given magnitudes in place of values it gives the magnitudes that the bound needs.
    """
    slope = trace.a_hidden * abs(1 - trace.a_hidden)
    output = y * abs(trace.y_hat) * abs(1 - trace.y_hat)  # y: the errors y_hat - y, or their magnitudes
    explicit = np.zeros((T, B, H))
    implicit = np.zeros((T, B, H))
    for t in range(T):
        for b in range(B):
            explicit[t, b] = np.diag(slope[t, b]) @ params.W_output @ output[t, b]
    for t in range(T):
        for k in range(t + 1, T):
            for b in range(B):
                jacobian = np.eye(H)
                for j in range(t, k):
                    jacobian = jacobian @ np.diag(slope[j, b]) @ params.W_hidden
                implicit[t, b] += jacobian @ explicit[k, b]
    return explicit, implicit


def _check_recursion(implicit_of: Any, seed: int = 0) -> None:
    params, x, y, state = _given(seed=seed)
    trace, grads = _backward((params, x, y, state))
    error = trace.y_hat - y
    explicit, implicit = _textbook(params, error, trace)
    explicit_size, implicit_size = _textbook(rnn.Params(*map(abs, params)), abs(error), trace)
    # Roundings on a path: 4 for delta_output, O for its product, 2 for the slope, 1 for ⊙; then for each step back
    # H for the product, 3 for ⊙ slope, 1 for a sum. The textbook's eye and diag are products by 0 and 1: 2 H more.
    first, per_step = 4 + O + 3, 3 * H + 4
    n = first + T * per_step + T
    got = implicit_of(params, trace, grads.deltas)
    assert (abs(grads.deltas.explicit - explicit) <= 2 * _gamma(first + H) * explicit_size).all()
    off = np.argwhere(~(abs(got - implicit) <= 2 * _gamma(n) * implicit_size))
    assert not off.size, f"delta_implicit is wrong at t, b, h = {off[-1]}"
    assert abs(implicit).max() > 1e-4, "nothing was probed"


@pytest.mark.parametrize("seed", range(5))
def test_the_recursion_is_the_textbook_s_sum_over_later_losses(seed: int) -> None:
    _check_recursion(lambda params, trace, deltas: deltas.implicit, seed)


def _recursion(later: str, transpose: bool = True, sign: float = 1.0, slope_shift: int = 0) -> Any:
    """delta_implicit by a recursion that carries the `later` delta of t + 1, with a mistake in it."""

    def implicit_of(params: rnn.Params, trace: rnn.Trace, deltas: rnn.Deltas) -> Array:
        W = params.W_hidden.T if transpose else params.W_hidden
        slope = np.roll(trace.a_hidden * (1 - trace.a_hidden), slope_shift, axis=0)
        implicit, hidden = np.zeros_like(deltas.hidden), deltas.explicit.copy()
        for t in reversed(range(T - 1)):
            carried = hidden[t + 1] if later == "hidden" else deltas.explicit[t + 1]
            implicit[t] = sign * (carried @ W) * slope[t]
            hidden[t] += implicit[t]
        return implicit

    return implicit_of


def test_a_right_recursion_passes_the_check() -> None:
    _check_recursion(_recursion("hidden"))


@pytest.mark.parametrize(
    "wrong",
    [
        _recursion("explicit"),
        _recursion("hidden", transpose=False),
        _recursion("hidden", sign=-1.0),
        _recursion("hidden", sign=1 + 1e-12),
        _recursion("hidden", slope_shift=-1),
    ],
    ids=["explicit delta carried", "no transpose", "sign", "a relative 1e-12", "slope of the next step"],
)
def test_a_wrong_recursion_is_caught(wrong: Any) -> None:
    with pytest.raises(AssertionError, match=r"delta_implicit is wrong at t, b, h"):
        _check_recursion(wrong)


def test_the_total_delta_is_the_sum_of_its_parts_and_the_last_is_explicit() -> None:
    deltas = _backward(_given())[1].deltas
    assert np.array_equal(deltas.hidden, deltas.explicit + deltas.implicit)
    assert not deltas.implicit[-1].any() and deltas.implicit[:-1].all()


def test_the_loss_of_each_step_and_in_total() -> None:
    y_hat = np.array([[[0.5, 1.0]], [[0.25, 0.0]]])
    y = np.array([[[0.0, 0.5]], [[0.25, 1.0]]])
    loss = rnn.loss(y_hat, y)
    assert loss.per_step.tolist() == [0.25, 0.5] and loss.total == 0.75


def test_the_loss_sums_over_the_batch() -> None:
    _, _, y, _ = _given()
    assert rnn.loss(y + 1, y).per_step == pytest.approx([B * O / 2] * T, rel=1e-14)


def _check_stack(forward: Any) -> None:
    """A stack of K problems against one at a time.

    Two products of the same pre-activation differ by twice γ(I + H + 1) of its magnitudes, and by what the states
    differed; a sigmoid passes on a quarter of that and adds 10 u of its value (exp 4 ulp, a sum, a quotient), twice.
    """
    K = 3
    params, x, y, state = _given(stack=(K,))
    trace = forward(params, x, state)
    assert trace.net_hidden.shape == (T, K, B, H) and trace.y_hat.shape == (T, K, B, O)
    per_step = rnn.loss(trace.y_hat, y).per_step
    assert per_step.shape == (T, K)
    for k in range(K):
        W_input, W_hidden, W_output = (abs(w[k]) for w in params)
        alone = rnn.forward(rnn.Params(*(w[k] for w in params)), x[:, k], rnn.State(state.a_initial[k]))
        previous, moved = abs(state.a_initial[k]), np.zeros((B, H))
        for t in range(T):
            sizes = abs(x[t, k]) @ W_input + previous @ W_hidden
            net = 2 * _gamma(I + H + 1) * sizes + moved @ W_hidden
            assert (abs(trace.net_hidden[t, k] - alone.net_hidden[t]) <= net).all()
            previous = alone.a_hidden[t]
            moved = net / 4 + 20 * U * previous
            assert (abs(trace.a_hidden[t, k] - previous) <= moved).all()
            output = 2 * _gamma(H) * (previous @ W_output) + moved @ W_output
            assert (abs(trace.net_output[t, k] - alone.net_output[t]) <= output).all()
            y_moved = output / 4 + 20 * U * alone.y_hat[t]
            assert (abs(trace.y_hat[t, k] - alone.y_hat[t]) <= y_moved).all()
            error = abs(alone.y_hat[t] - y[t, k])
            loss = rnn.loss(alone.y_hat, y[:, k]).per_step[t]
            assert abs(per_step[t, k] - loss) <= (error * y_moved + y_moved**2).sum() + 2 * _gamma(B * O + 4) * loss


def test_a_stack_of_problems_agrees_with_one_by_one() -> None:
    _check_stack(rnn.forward)


def test_a_stack_that_mixes_its_problems_is_caught() -> None:
    def mixed(params: rnn.Params, x: Array, state: rnn.State) -> rnn.Trace:
        return rnn.forward(params._replace(W_hidden=params.W_hidden[::-1]), x, state)

    with pytest.raises(AssertionError):
        _check_stack(mixed)


@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=lambda d: d.__name__)
@pytest.mark.parametrize("scale", [1e3, 1e6])
def test_saturation_is_silent_and_finite(dtype: Any, scale: float) -> None:
    with np.errstate(over="warn", invalid="warn", divide="warn"):
        trace, grads = _backward(_given(dtype, scale=scale))
    assert all(np.isfinite(leaf).all() for leaf in _leaves((trace, grads)))
    assert abs(trace.net_hidden).max() > 1000 and {0.0, 1.0} <= set(trace.a_hidden.flat)


def test_one_step_has_no_later_losses() -> None:
    params, x, y, state = _given()
    _, grads = _backward((params, x[:1], y[:1], state))
    assert not grads.deltas.implicit.any() and grads.deltas.explicit.all()


def _form(source: str) -> list[str]:
    """What in a function's source breaks the law of straight lines."""
    tree = ast.parse(source).body[0]
    assert isinstance(tree, ast.FunctionDef)
    forbidden = (ast.If, ast.IfExp, ast.While, ast.Try, ast.With, ast.Match, ast.Lambda, ast.BoolOp, ast.Assert)
    found = [f"{type(node).__name__} in line {node.lineno}" for node in ast.walk(tree) if isinstance(node, forbidden)]
    loops = sum(isinstance(node, (ast.For, ast.comprehension)) for node in ast.walk(tree))
    length = (tree.end_lineno or 0) - tree.lineno + 1
    nested = sum(isinstance(node, ast.FunctionDef) for node in ast.walk(tree)) - 1
    counts = {"loops": (loops, 1), "lines": (length, 40), "nested functions": (nested, 0)}
    return found + [f"{n} {what}, at most {most}" for what, (n, most) in counts.items() if n > most]


@pytest.mark.parametrize("function", [rnn.forward, rnn.loss, rnn.bptt], ids=lambda f: f.__name__)
def test_the_mathematics_is_straight_lines(function: Any) -> None:
    assert _form(inspect.getsource(function)) == []


def test_bptt_has_its_one_loop() -> None:
    assert inspect.getsource(rnn.bptt).count("for t in reversed(range(T)):") == 1


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("if x:\n        x = 1", "If in line 2"),
        ("x = 1 if x else 2", "IfExp in line 2"),
        ("while x:\n        x = 0", "While in line 2"),
        ("try:\n        x = 1\n    except ValueError:\n        x = 2", "Try in line 2"),
        ("for t in x:\n        y = t\n    for t in x:\n        y = t", "2 loops, at most 1"),
        ("x = 1\n    " * 40, "41 lines, at most 40"),
    ],
    ids=["if", "if else", "while", "try", "two loops", "long"],
)
def test_what_is_not_straight_is_caught(body: str, message: str) -> None:
    assert _form(f"def f(x):\n    {body}\n") == [message]
