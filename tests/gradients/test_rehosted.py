"""Functions made anew: the user's modules and objects stay as they are; what allocates floats holds scalars."""

from __future__ import annotations

import functools
import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest

from gradlab.arithmetic import Ball, balls, midpoints
from gradlab.gradients import check_gradient
from gradlab.gradients.noise import estimated
from gradlab.gradients.rehosted import Rehost
from gradlab.gradients.worlds import World

V = np.array([0.25, -0.5, 1.5])
counter = 0
buffer = np.zeros(3)


def counting(w):
    global counter
    counter += 1
    buffer[:] = w
    return np.sum(buffer**2)


def host(**options):
    return Rehost(World(Ball, (np.float64,), **options))


def test_globals_are_left_alone() -> None:
    before = dict(globals())
    found = host(buffers=True)(counting)(balls(V))
    assert float(midpoints(found)) == np.sum(V**2)
    assert counter == 0 and not buffer.any() and globals() == before


def test_float_buffers_are_refused_without_a_stand_in() -> None:
    with pytest.raises(TypeError, match="is no float"):
        counting(balls(V))
    with pytest.raises(TypeError, match="is no float"):
        host()(counting)(balls(V))


@pytest.mark.parametrize(
    "function",
    [
        lambda w: sum(np.zeros(3) + w),
        lambda w: filled(np.empty(3), w),
        lambda w: filled(np.zeros_like(V), w),
        lambda w: filled(np.full((3,), 0.5), w),
        lambda w: filled(np.ones(3, dtype=float), w),
        lambda w: filled(np.zeros(3, dtype="float64"), w),
        lambda w: filled(np.zeros(3, np.float64), w),
        lambda w: np.sum(np.asarray(w, dtype=float)),
        lambda w: np.sum(w.astype(float)),
        lambda w: np.sum(w.astype(np.float64)),
        lambda w: sum(float(x) for x in w),
        lambda w: sum(np.float64(x) for x in w),
        lambda w: np.sum(np.array([w[0], w[1], float(w[2])])),
        lambda w: sum(x if isinstance(x, float) else None for x in w),
        lambda w: sum(math.log(math.exp(x)) for x in w),
        lambda w: sum(np.log2(np.exp2(w))),
        lambda w: np.linalg.norm(w) ** 2 - np.sum(w * w) + np.sum(w),
        lambda w: np.sum(np.where(np.isnan(w), 0, w)),
    ],
)
def test_what_makes_floats_makes_scalars(function) -> None:
    found = host()(function)(balls(V))
    assert isinstance(found, Ball) and abs(float(midpoints(found)) - 1.25) < 1e-14


def filled(array, w):
    array[:] = w
    return np.sum(array)


def test_other_dtypes_stay_what_they_are() -> None:
    rehosted = host()(lambda: (np.zeros(2, int), np.zeros(2, bool), np.zeros(2, np.float32), np.zeros_like([1, 2])))
    assert [array.dtype for array in rehosted()] == [int, bool, np.float32, int]


def test_closures_partials_methods_and_recursion_are_followed() -> None:
    scale, table = 2.0, [lambda x: np.zeros(()) + x]

    def power(w, n):
        return w if n == 0 else scale * power(w, n - 1)

    def loss(w, n):
        return np.sum(table[0](power(w, n)))

    report = check_gradient(functools.partial(loss, n=3), lambda w: np.full(w.shape, 8.0), V)
    assert report.ok and "certified" in report.oracles


class Base:
    def __init__(self, x):
        self.x, self.calls = x, 0

    def layer(self, w):
        out = np.zeros(3)
        out += self.x * w
        return out


class Model(Base):
    def __init__(self, x):
        super().__init__(x)

    @property
    def half(self):
        return 0.5

    @staticmethod
    def total(z):
        return np.sum(np.square(z))

    def loss(self, w):
        self.calls += 1
        return self.half * self.total(self.layer(w))

    def grad(self, w):
        return self.x**2 * w


def test_objects_are_copied_with_their_inherited_methods() -> None:
    model = Model(np.array([1.0, 2.0, 3.0]))
    rehosted = host()(model.loss)
    assert float(midpoints(rehosted(balls(V)))) == model.loss(V)
    assert model.calls == 1 and isinstance(rehosted.__self__, Model)
    assert check_gradient(model.loss, model.grad, V).oracles == ("certified", "float_run")
    assert check_gradient(lambda w: Model(model.x).loss(w), model.grad, V).oracles == ("certified", "float_run")


def test_modules_of_the_user_are_followed_and_left_alone(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "my_layers.py").write_text(
        "import numpy\nw = None\n"
        "def total():\n    out = numpy.zeros(3)\n    out[:] = w\n    return numpy.sum(out ** 2)\n"
    )
    spec = importlib.util.spec_from_file_location("my_layers", tmp_path / "my_layers.py")
    assert spec is not None and spec.loader is not None
    my_layers = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "my_layers", my_layers)
    spec.loader.exec_module(my_layers)

    def loss(w):
        import my_layers

        my_layers.w = w
        return my_layers.total()

    module = host()(my_layers)
    assert not hasattr(module, "no_such") and not hasattr(module, "no_such")
    rehosted = host()(loss)
    assert isinstance(rehosted(balls(V)), Ball)
    assert my_layers.w is None
    assert check_gradient(loss, lambda w: 2 * w, V).oracles == ("certified", "float_run")
    assert check_gradient(loss, lambda w: 3 * w, V).proven


def test_noise_is_estimated_within_a_factor() -> None:
    rng = np.random.default_rng(0)
    noisy = np.array([1e-6])

    def function(x):
        return np.array([np.sum(np.sin(x))]) + noisy * rng.normal()

    level = estimated(function, V, np.random.default_rng(1))
    assert 1e-6 < level[0] < 1e-4
    assert estimated(lambda x: np.array([np.sum(np.sin(x))]), V, np.random.default_rng(1))[0] < 1e-13
