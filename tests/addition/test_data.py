from __future__ import annotations

from types import SimpleNamespace
from typing import Annotated, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradlab import cells
from gradlab.addition import data
from gradlab.addition.data import AdditionError

WIDTHS = st.integers(1, 62)


@st.composite
def numbers(draw):
    bits = draw(WIDTHS)
    return bits, draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=5))


@st.composite
def fitting_pairs(draw):
    bits = draw(WIDTHS)
    a = st.integers(0, 2**bits - 1)
    pairs = a.flatmap(lambda one: st.tuples(st.just(one), st.integers(0, 2**bits - 1 - one)))
    return bits, draw(st.lists(pairs, min_size=1, max_size=4))


@given(numbers())
def test_encode_and_decode_round_trip(case):
    bits, given_ = case
    columns = data.encode(given_, bits)
    assert columns.shape == (bits, len(given_)) and columns.dtype == np.uint8
    assert data.decode(columns).tolist() == given_
    assert columns[0].tolist() == [number % 2 for number in given_]


@given(numbers())
def test_written_numbers_round_trip(case):
    bits, given_ = case
    for number in given_:
        text = data.write_binary(number, bits)
        assert len(text) == bits and data.read_binary(text) == number == int(text, 2)
        assert text == "".join(map(str, data.encode(number, bits)[::-1]))


@given(fitting_pairs())
def test_every_column_is_a_row_of_the_full_adder(case):
    bits, pairs = case
    x, y = data.sequences(pairs, bits)
    into, out = data.carries(pairs, bits)
    assert x.shape == (bits, len(pairs), 2) and y.shape == (bits, len(pairs), 1)
    columns = np.concatenate([x, into[..., None], y, out[..., None]], axis=-1).reshape(-1, 5)
    assert set(map(tuple, columns.astype(int).tolist())) <= set(data.FULL_ADDER)
    assert (into[1:] == out[:-1]).all() and not into[0].any() and not out[-1].any()


def test_the_truth_table_adds():
    assert len(set(data.FULL_ADDER)) == 8
    for column in data.FULL_ADDER:
        assert column.a + column.b + column.carry_in == column.sum + 2 * column.carry_out


def test_encoding_keeps_the_shape_of_what_it_is_given():
    grid = np.arange(6).reshape(2, 3)
    assert data.encode(grid, 3).shape == (3, 2, 3)
    assert (data.decode(data.encode(grid, 3)) == grid).all()
    assert data.write_binary(5, 8) == "00000101"


@given(WIDTHS, st.integers(0, 2**32))
def test_random_pairs_fit_and_follow_their_seed(bits, seed):
    for draw in (data.random_pairs, data.long_pairs):
        pairs, again = (draw(np.random.default_rng(seed), 3, bits) for _ in range(2))
        assert (pairs == again).all() and pairs.shape == (3, 2)
        assert (data.check_pairs(pairs, bits) < 2 ** (bits - 1)).all()


def test_random_pairs_reach_every_addend_and_long_pairs_carry_far():
    rng = np.random.default_rng(0)
    assert set(data.random_pairs(rng, 2000, 5).ravel().tolist()) == set(range(16))

    def longest(pairs):
        held = data.encode(pairs, 62).sum(axis=-1) == 1
        run = best = np.zeros(len(pairs), int)
        for column in held:
            run = (run + 1) * column
            best = np.maximum(best, run)
        return best.max()

    assert longest(data.long_pairs(rng, 1000)) > 40 > 20 > longest(data.random_pairs(rng, 1000, 62))


REFUSED = {
    "negative": (lambda: data.encode([3, -2], 4), r"-2 is negative: the least is 0"),
    "too wide": (lambda: data.encode(16, 4), r"16 is too wide: 4 bits hold at most 15"),
    "wider than int64": (lambda: data.encode(2**80, 62), r"1208925819614629174706176 is too wide: 62 bits"),
    "float": (lambda: data.encode(3.0, 4), r"3\.0 is not an integer"),
    "truth": (lambda: data.encode([True], 4), r"True is not an integer"),
    "text": (lambda: data.encode("7", 4), r"'7' is not an integer"),
    "none": (lambda: data.encode([None], 4), r"None is not an integer"),
    "ragged": (lambda: data.encode([[1, 2], [3]], 4), r"not an array of integers: its rows differ in length"),
    "no bits": (lambda: data.encode(0, 0), r"bits = 0: wanted 1 to 62"),
    "63 bits": (lambda: data.random_pairs(np.random.default_rng(0), 1, 63), r"bits = 63: wanted 1 to 62"),
    "bits of a float": (lambda: data.encode(0, 8.0), r"bits = 8\.0: wanted an integer from 1 to 62"),
    "overflow": (lambda: data.sequences([[1, 1], [200, 56]], 8), r"200 \+ 56 = 256 overflows: 8 bits hold at most 255"),
    "widest overflow": (lambda: data.carries([[2**62 - 1, 1]], 62), r"= 4611686018427387904 overflows: 62 bits"),
    "one number": (lambda: data.sequences([3, 4], 8), r"pairs have shape \(2,\), wanted \(B, 2\) with B at least 1"),
    "no pairs": (lambda: data.sequences(np.zeros((0, 2), int), 8), r"shape \(0, 2\), wanted \(B, 2\)"),
    "not a bit": (lambda: data.decode([0, 2]), r"2 is not a bit: wanted 0 or 1"),
    "no columns": (lambda: data.decode([]), r"bits = 0: wanted 1 to 62"),
    "not binary": (lambda: data.read_binary("012"), r"'012' is not a binary number"),
    "empty": (lambda: data.read_binary(""), r"'' is not a binary number"),
    "long text": (lambda: data.read_binary("1" * 63), r"bits = 63: wanted 1 to 62"),
    "init": (lambda: data.random_params("rnn", {}, np.random.default_rng(0), "zeros"), r"'zeros': wanted uniform or"),
    "size": (lambda: data.random_params("rnn", {"I": 2}, np.random.default_rng(0)), r"rnn\.W_input .* H has no size"),
    "no weights": (lambda: data.problem([[1, 2]], 8), r"no weights: give params, or a generator rng"),
    "no units": (lambda: data.problem(np.random.default_rng(0), 8, 0), r"hidden = 0: wanted 1 to 2048"),
    "no batch": (lambda: data.problem(np.random.default_rng(0), batch=0), r"batch = 0: wanted 1 to"),
}


@pytest.mark.parametrize(("call", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refusals_name_the_value_and_the_limit(call, message):
    with pytest.raises(AdditionError, match=message):
        call()


@pytest.mark.parametrize("init", data.INITS)
def test_random_weights_follow_the_seeds(init):
    params = data.random_params("rnn", {"I": 2, "H": 60, "O": 1}, np.random.default_rng(1), init)
    flat = params.W_hidden.ravel()
    assert abs(flat.mean()) < 0.06
    assert flat.std() == pytest.approx({"uniform": 3**-0.5, "normal": 1}[init], rel=0.03)
    assert init == "normal" or (-1 <= flat.min() < -0.99 and 0.99 < flat.max() <= 1)


@pytest.mark.parametrize("name", cells.CELLS)
def test_a_problem_for_every_registered_cell(name):
    rng = np.random.default_rng(0)
    drawn = data.problem(rng, 6, 4, name, batch=3, init="normal")
    assert drawn.x.shape == (6, 3, 2) and drawn.y.shape == (6, 3, 1)
    assert not any(np.any(state) for state in drawn.state)
    again = data.problem([[1, 2], [3, 4]], 6, cell=name, params=drawn.params)
    assert again.params.__class__ is drawn.params.__class__ and again.sizes["B"] == 2
    assert data.decode(again.y[..., 0]).tolist() == [3, 7]
    fresh = data.problem([[1, 2]], 6, 4, name, rng=np.random.default_rng(5))
    assert fresh.sizes["H"] == 4


def test_no_cell_is_known_by_name(monkeypatch):
    class Params(NamedTuple):
        V: Annotated[np.ndarray, "H I O"]
        bias: Annotated[np.ndarray, "O"]

    class State(NamedTuple):
        c: Annotated[np.ndarray, "B H"]

    other = SimpleNamespace(module=SimpleNamespace(Params=Params, State=State))
    monkeypatch.setattr(data.cells, "cell", {"other": other}.__getitem__)
    made = data.problem(np.random.default_rng(0), 3, 5, "other")
    assert made.params.V.shape == (5, 2, 1) and made.params.bias.shape == (1,) and made.state.c.shape == (1, 5)
