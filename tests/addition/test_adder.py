from __future__ import annotations

import numpy as np
import pytest

from gradlab.addition import data
from gradlab.addition.adder import accuracy, add, predict
from gradlab.addition.data import AdditionError


def test_trained_on_8_bits_it_adds_32_bit_numbers_exactly(trained):
    run, _ = trained
    pairs = np.random.default_rng(11).integers(0, 2**32, (10_000, 2))
    assert accuracy(run.params, pairs, 33).exact == 1


def test_trained_on_8_bits_it_holds_a_carry_over_62(trained):
    run, _ = trained
    pairs = data.long_pairs(np.random.default_rng(12), 2000)
    assert accuracy(run.params, pairs, 62).exact == 1
    assert run.add(2**61 - 1, 1).sum == 2**61


def test_every_8_bit_pair_is_added_exactly(trained):
    run, _ = trained
    every = np.stack(np.meshgrid(np.arange(128), np.arange(128)), axis=-1).reshape(-1, 2)
    assert accuracy(run.params, every, 8) == (1.0, 1.0)


def test_a_sum_says_what_each_column_gave_and_how_surely(trained):
    run, _ = trained
    found = run.add(181, 107)
    assert found.right and found.sum == 288 and len(found.digits) == 9
    assert [digit.bit for digit in found.digits] == data.encode(288, 9).tolist()
    assert [digit.carry for digit in found.digits] == data.carries([[181, 107]], 9).into[:, 0].tolist()
    assert all(0.5 < digit.confidence == max(digit.y_hat, 1 - digit.y_hat) < 1 for digit in found.digits)
    assert found.confidence == min(digit.confidence for digit in found.digits)
    lines = str(found).splitlines()
    assert lines[-1].startswith("181 + 107 = 288   right; least sure bit ")
    assert lines[-2].endswith("100100000 = 288") and "wrong" not in str(found)


def test_an_untrained_net_is_seen_to_be_wrong():
    params = data.problem(np.random.default_rng(0)).params
    found = add(85, 42, params)
    assert not found.right and "wrong: it is 127" in str(found) and "wrong: 1" in str(found)
    assert accuracy(params, [[85, 42]], 8).exact == 0
    assert accuracy(params, [[85, 42]], 8).bits == np.mean(
        [d.bit == d.true for d in add(85, 42, params, bits=8).digits]
    )


def test_predictions_do_not_depend_on_the_batch(trained):
    run, _ = trained
    pairs = data.random_pairs(np.random.default_rng(1), 7, 8)
    single = np.concatenate([predict(run.params, [pair], 8) for pair in pairs], axis=1)
    np.testing.assert_allclose(predict(run.params, pairs, 8), single, rtol=1e-12)


REFUSED = {
    "negative": ((-1, 2), {}, r"-1 is negative"),
    "not an integer": ((1.5, 2), {}, r"1\.5 is not an integer"),
    "too wide": ((2**62, 0), {}, r"4611686018427387904 is too wide: 62 bits"),
    "overflow": ((2**62 - 1, 1), {}, r"overflows: 62 bits"),
    "narrow": ((200, 56), {"bits": 8}, r"200 \+ 56 = 256 overflows: 8 bits hold at most 255"),
}


@pytest.mark.parametrize(("pair", "options", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_what_cannot_be_added_is_refused(trained, pair, options, message):
    run, _ = trained
    with pytest.raises(AdditionError, match=message):
        run.add(*pair, **options)


def test_a_net_of_no_numbers_is_refused():
    params = data.problem(np.random.default_rng(0)).params
    with pytest.raises(AdditionError, match=r"the network gives nan on 1 \+ 2"):
        add(1, 2, params._replace(W_output=params.W_output * np.nan))
