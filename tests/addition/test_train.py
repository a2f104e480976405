from __future__ import annotations

import itertools

import numpy as np
import pytest

from gradlab import cells
from gradlab.addition import data
from gradlab.addition.adder import accuracy
from gradlab.addition.data import AdditionError
from gradlab.addition.run import held_out, held_out_wide
from gradlab.addition.train import Diverged, GradientDisagreement, Run, Settings, look, train

RNN = cells.cell("rnn").code


def same(left, right):
    return left.step == right.step and all(map(np.array_equal, left.params, right.params))


def finish(run, **options):
    for _ in train(run, **options):
        pass
    return run


@pytest.mark.parametrize("init", data.INITS)
@pytest.mark.parametrize("seed", range(5))
def test_every_held_out_8_bit_pair_is_added_exactly_within_10_000_steps(seed, init):
    run = finish(Run.start(Settings(seed=seed, init=init, stop="exact")))
    assert run.finished == "every held-out pair is added exactly" and run.step <= 10_000
    assert len(held_out(run.settings)) == 1000 and accuracy(run.params, held_out(run.settings), 8).exact == 1


def test_the_learning_curve(trained):
    run, snapshots = trained
    assert [point.step for point in run.curve] == [step for step, _ in snapshots] == list(range(0, run.step + 1, 250))
    first, last = run.curve[0], run.curve[-1]
    assert first.exact < 0.1 and np.isnan(first.wide) and (last.exact, last.bits, last.wide) == (1, 1, 1)
    assert np.mean([p.loss for p in run.curve[-8:]]) < np.mean([p.loss for p in run.curve[:8]]) / 3


def test_a_step_is_plain_gradient_descent_on_the_next_pair(small):
    run = Run.start(small)
    problem, before = run.problem(), run.params
    grads = RNN.gradient(*problem.inputs(), RNN.forward(*(problem.params, problem.x, problem.state))).params
    next(looks := train(run, check=lambda _: True, check_every=1))
    next(looks)
    one = Run.start(Settings(**vars(small) | {"epochs": 1}))
    finish(one)
    for weight, start, grad in zip(one.params, before, grads, strict=True):
        np.testing.assert_array_equal(weight, start - 0.1 * grad)


def test_the_report_is_the_seeds(small):
    progress = look(Run.start(small))
    lines = str(progress).splitlines()
    assert lines[0] == f"Error:{progress.point.loss:.6f}"
    assert lines[2] == f"True:[{' '.join(data.write_binary(progress.a + progress.b, 4))}]"
    assert lines[1].startswith("Pred:[") and lines[3:] == [f"{progress.a} + {progress.b} = {progress.sum}", "-" * 12]


@pytest.mark.parametrize("batch", [1, 3])
def test_a_run_stopped_anywhere_goes_on_to_the_same_bits(small, batch):
    settings = Settings(**vars(small) | {"batch": batch})
    whole = finish(Run.start(settings))
    for stop in (1, 63, 64, 65, 149):
        parted = Run.start(Settings(**vars(settings) | {"epochs": stop}))
        finish(parted)
        resumed = finish(parted.continued(epochs=150))
        assert same(whole, resumed) and resumed.step == 150


def test_neither_evaluations_nor_checks_touch_the_weights(small):
    plain = finish(Run.start(small))
    watched = Run.start(Settings(**vars(small) | {"evaluate_every": 7}))
    assert same(plain, finish(watched, check=lambda problem: True, check_every=11))


def test_an_interrupt_leaves_a_whole_run(small):
    calls = itertools.count()

    def interrupted(*args):
        if next(calls) == 60:
            raise KeyboardInterrupt
        return RNN.gradient(*args)

    run = Run.start(small)
    with pytest.raises(KeyboardInterrupt):
        finish(run, code=RNN._replace(gradient=interrupted))
    assert run.step == 60
    whole = finish(Run.start(small))
    assert same(finish(run), whole)
    np.testing.assert_equal(run.curve, whole.curve)


def test_the_check_sees_the_live_weights_and_the_next_pair(small):
    seen = []
    run = Run.start(small)
    finish(run, check=lambda problem: seen.append((run.step, problem)) or True, check_every=50)
    assert [step for step, _ in seen] == [0, 50, 100]
    again = Run.start(Settings(**vars(small) | {"epochs": 100}))
    finish(again)
    assert all(map(np.array_equal, seen[-1][1].params, again.params))
    assert data.decode(seen[-1][1].x.astype(int)[..., 0]).tolist() == again.pairs()[:, 0].tolist()


def test_training_stops_where_the_check_disagrees(small):
    run = Run.start(small)
    with pytest.raises(GradientDisagreement, match=r"step 100: the check disagrees") as caught:
        finish(run, check=lambda _: run.step < 100, check_every=25)
    assert caught.value.step == run.step == 100
    with pytest.raises(GradientDisagreement, match="step 100"):
        finish(run, check=lambda _: False, check_every=25)


def test_the_code_that_is_trained_with_is_an_argument(small):
    def wrong(*args):
        grads = RNN.gradient(*args)
        return grads._replace(params=grads.params._replace(W_hidden=-grads.params.W_hidden))

    assert not same(finish(Run.start(small), code=RNN._replace(gradient=wrong)), finish(Run.start(small)))


def test_stopping_rules():
    settings = Settings(seed=9, init="normal", evaluate_every=1000)
    exact = finish(Run.start(Settings(**vars(settings) | {"stop": "exact"})))
    assert exact.curve[-1].exact == 1 > exact.curve[-1].wide
    assert exact.step < 10_000 and not list(train(exact))
    further = exact.continued(stop="never", epochs=exact.step + 10)
    assert not further.finished
    assert finish(further).finished == "all epochs are done"


def test_seeds_and_streams_differ():
    one, two = (Run.start(Settings(seed=seed)) for seed in (0, 1))
    assert not np.array_equal(one.params.W_input, two.params.W_input)
    assert not np.array_equal(held_out(one.settings), held_out(two.settings))
    assert held_out(one.settings)[0].tolist() != one.pairs()[0].tolist()


def test_pairs_cannot_be_changed_in_a_callers_hands(small):
    for pairs in (held_out(small), held_out_wide(small), Run.start(small).pairs()):
        with pytest.raises(ValueError, match="read-only"):
            pairs[0] = 0


def test_a_rate_too_large_is_said(small):
    run = Run.start(Settings(**vars(small) | {"rate": 1e308, "batch": 300}))
    with pytest.raises(Diverged, match=r"W_\w+ is not finite after step \d+: rate 1e\+308 is too large"):
        finish(run)


REFUSED = {
    "bits": ({"bits": 63}, r"bits = 63: wanted 1 to 62"),
    "hidden": ({"hidden": 0}, r"hidden = 0: wanted 1 to 2048"),
    "epochs": ({"epochs": -1}, r"epochs = -1: wanted 0 to"),
    "half an epoch": ({"epochs": 0.5}, r"epochs = 0\.5: wanted an integer"),
    "seed": ({"seed": -1}, r"seed = -1: wanted 0 to"),
    "batch": ({"batch": 0}, r"batch = 0: wanted 1 to 1024"),
    "evaluate_every": ({"evaluate_every": 0}, r"evaluate_every = 0: wanted 1 to"),
    "no rate": ({"rate": 0}, r"rate = 0: wanted a finite number above 0"),
    "rate nan": ({"rate": float("nan")}, r"rate = nan: wanted"),
    "rate text": ({"rate": "fast"}, r"rate = 'fast': wanted"),
    "init": ({"init": "zeros"}, r"init = 'zeros': wanted uniform, normal"),
    "stop": ({"stop": "soon"}, r"stop = 'soon': wanted wide, exact, never"),
}


@pytest.mark.parametrize(("change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_settings_are_refused_with_their_limits(change, message):
    with pytest.raises(AdditionError, match=message):
        Settings(**change)


def test_an_unknown_cell_is_refused():
    with pytest.raises(KeyError, match="no cell is called 'elman'"):
        Settings(cell="elman")


def test_what_a_run_was_begun_with_cannot_change(small):
    with pytest.raises(AdditionError, match=r"rate = 0\.2: the run was begun with 0\.1, and that cannot change"):
        Run.start(small).continued(epochs=9, rate=0.2)
    assert Run.start(small).continued(rate=0.1, epochs=9).settings.epochs == 9


@pytest.mark.parametrize("name", cells.CELLS)
def test_every_registered_cell_can_be_trained(name, small):
    run = Run.start(Settings(**vars(small) | {"cell": name}))
    before = look(run).point
    assert finish(run).step == 150 and before.step == 0
    assert not np.array_equal(run.params[0], Run.start(run.settings).params[0])
