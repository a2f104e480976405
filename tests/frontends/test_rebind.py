"""Functions, classes, objects and modules made anew in one world; the user's own are left alone."""

from __future__ import annotations

import abc
import argparse
import collections
import dataclasses
import enum
import functools
import importlib
import sys
import types
from typing import Generic, NamedTuple, TypeVar

import numpy as np
import pytest

from gradlab.frontends.copies import state_of
from gradlab.frontends.numpy_code import Recording
from gradlab.tape import Recorded

V = np.array([0.25, -0.5, 1.5])
counter = 0
buffer = np.zeros(3)
stored = {}
cube = np.vectorize(lambda v: v**3)


def run(*functions, x=V):
    """Each function of x, recorded one after the other in one world: their floats."""
    recording = Recording({str(i): function for i, function in enumerate(functions)})
    leaf = recording.leaf(x, "parameter")
    made = [recording.call(recording.functions[name], recording.array(leaf, x.dtype)) for name in recording.functions]
    recording.whole()
    assert all(isinstance(one, Recorded) for one in made)
    return [one.floats for one in made]


def counting(w):
    global counter
    counter += 1
    buffer[:] = w
    stored["w"] = w
    return np.sum(buffer**2) * counter


def test_globals_are_left_alone_and_shared_in_the_world():
    before = dict(globals())
    first, second, third = run(counting, counting, lambda w: stored["w"] * buffer * counter)
    assert first == np.sum(V**2) and second == 2 * first and np.array_equal(third, V * V * 2)
    assert counter == 0 and not buffer.any() and not stored and globals() == before


def test_closures_are_shared_among_functions():
    state, total = [], 0.0

    def push(w):
        nonlocal total
        state.append(w * 2)
        total = total + np.sum(w)
        return state[-1]

    def pop(w):
        return state.pop() * total

    assert np.array_equal(run(push, pop)[1], 2 * V * V.sum())
    assert state == [] and total == 0


def test_recursion_defaults_and_attributes_of_functions():
    def power(w, n, *, scale=np.ones(3), cache={}):  # noqa: B006, B008  (as users write them)
        power.calls += 1
        cache[n] = w
        return scale if n == 0 else w * power(w, n - 1)

    power.calls = 0
    assert np.array_equal(run(lambda w: power(w, 3) * power.calls)[0], V**3 * 4)
    assert power.calls == 0 and power.__kwdefaults__["cache"] == {}


class Base:
    made: list[object] = []  # noqa: RUF012
    unit = np.ones(3)

    def __init__(self, x):
        self.x, self.calls = x, 0
        self.made.append(self)

    def layer(self, w):
        self.calls += 1
        out = np.zeros(3)
        out += self.x * w * self.unit
        return out

    @property
    def half(self):
        return 0.5 * self.unit

    @half.setter
    def half(self, value):
        self.unit = 2 * value

    @functools.cached_property
    def doubled(self):
        return self.x * 2

    @staticmethod
    def total(z):
        return np.sum(np.square(z), keepdims=True)

    @classmethod
    def of(cls, x):
        return cls(x)

    thrice = functools.partialmethod(lambda self, w, n: n * self.layer(w), n=3)


class Plain(Base):
    def layer(self, w):
        return 2 * super().layer(w)


class Named(Base):
    def layer(self, w):
        return 2 * super().layer(w)


class Direct(Base):
    def layer(self, w):
        return 2 * Base.layer(self, w)


class Mixed(Plain, Named):
    def layer(self, w):
        return 3 * super().layer(w) + 0 * __class__.unit


@pytest.mark.parametrize(("kind", "factor"), [(Plain, 2), (Named, 2), (Direct, 2), (Mixed, 12)])
def test_inherited_methods_in_all_forms_of_super(kind, factor):
    model, count = kind(np.array([1.0, 2.0, 3.0])), len(Base.made)
    found = run(lambda w: model.layer(w), model.layer, lambda w: kind.of(model.x).layer(w) * model.calls)
    assert np.array_equal(found[0], factor * model.x * V) and np.array_equal(found[0], found[1])
    assert np.array_equal(found[2], found[0] * 2)
    assert model.calls == 0 and len(Base.made) == count and "layer" in vars(kind)


def test_properties_class_methods_and_cached_properties():
    model = Base(np.array([1.0, 2.0, 3.0]))

    def function(w):
        model.half = w
        return model.half * model.doubled + Base.total(w) + model.thrice(w)

    assert np.array_equal(run(function)[0], 0.5 * 2 * V * model.x * 2 + np.sum(V**2) + 3 * model.x * V * 2 * V)
    assert model.unit is Base.unit and "doubled" not in vars(model)


@dataclasses.dataclass
class Data:
    w: np.ndarray
    steps: list = dataclasses.field(default_factory=list)

    def push(self, x):
        self.steps.append(x * self.w)
        return dataclasses.replace(self, w=x)


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    w: np.ndarray
    n: int = 2

    def power(self, x):
        return Frozen(x * self.w, self.n).w ** self.n


class Slotted:
    __slots__ = ("__hidden", "unset", "w")

    def __init__(self, w):
        self.w, self.__hidden = w, w * 2

    def both(self, x):
        self.unset = x
        return self.w * self.__hidden * self.unset


class Abstract(abc.ABC):
    @abc.abstractmethod
    def forward(self, x): ...


class Concrete(Abstract):
    def forward(self, x):
        assert isinstance(self, Abstract)
        return x * 2


T = TypeVar("T")


class Boxed(Generic[T]):
    def __init__(self, w: T):
        self.w = w

    def forward(self, x):
        return self.w * x


class Registered:
    known: dict[str, type] = {}  # noqa: RUF012

    def __init_subclass__(cls, *, name):
        Registered.known[name] = cls


class Child(Registered, name="child"):
    w = np.array([1.0, 2.0, 3.0])

    def forward(self, x):
        return self.known["child"].w * x


class Meta(type):
    made: list[str] = []  # noqa: RUF012

    def __init__(cls, name, bases, namespace):
        Meta.made.append(name)
        super().__init__(name, bases, namespace)


class WithMeta(metaclass=Meta):
    def forward(self, x):
        return x * 2


class Permissive:
    def __init__(self, w):
        self.w = w

    def __getattr__(self, name):
        return None

    def forward(self, x):
        return self.w * x


class Items(dict):
    __getattr__ = dict.__getitem__


class Both(dict):
    def __init__(self, **parts):
        super().__init__(**parts)
        self.__dict__ = self


class Steps(list):
    def push(self, x):
        self.append(x)
        return self


class Pair(NamedTuple):
    a: np.ndarray
    b: np.ndarray


class Rewired:
    """An object that gives itself a method, and another to its caller."""

    def __init__(self):
        self.forward = self.first
        self.count = 0

    def first(self, x):
        self.forward = self.later
        return x

    def later(self, x):
        self.count += 1
        return x * self.count


class Mode(enum.Enum):
    TWICE = 2


@pytest.mark.parametrize(
    ("make", "use", "wanted"),
    [
        (lambda: Data(V), lambda o, x: o.push(x).w * o.steps[0], V**3),
        (lambda: Frozen(V), lambda o, x: o.power(x), V**4),
        (lambda: Slotted(V), lambda o, x: o.both(x), 2 * V**3),
        (lambda: Concrete(), lambda o, x: o.forward(x), 2 * V),
        (lambda: Boxed(V), lambda o, x: o.forward(x), V**2),
        (lambda: Child(), lambda o, x: o.forward(x), V * [1, 2, 3]),
        (lambda: WithMeta(), lambda o, x: o.forward(x), 2 * V),
        (lambda: Permissive(V), lambda o, x: o.forward(x), V**2),
        (lambda: Items(w=V), lambda o, x: o.w * x, V**2),
        (lambda: Both(w=V), lambda o, x: (setattr(o, "y", x), o["y"] * o.w)[1], V**2),
        (lambda: Steps([V]), lambda o, x: o.push(x)[1] * o[0], V**2),
        (lambda: Pair(V, V), lambda o, x: o._replace(a=x).a * o.b, V**2),
        (lambda: Rewired(), lambda o, x: o.forward(x) + o.forward(x) + o.forward(x), 4 * V),
        (lambda: Mode.TWICE, lambda o, x: x * o.value if o is Mode.TWICE else x, 2 * V),
        (lambda: types.SimpleNamespace(w=V), lambda o, x: (setattr(o, "w", o.w * x), o.w)[1], V**2),
        (lambda: argparse.Namespace(w=V), lambda o, x: (setattr(o, "w", o.w * x), o.w)[1], V**2),
        (lambda: collections.defaultdict(lambda: np.zeros(3)), lambda o, x: o.__getitem__("k").__iadd__(x), V),
        (lambda: collections.deque([V, V], maxlen=2), lambda o, x: (o.append(x), o[0] * o[1] * len(o))[1], 2 * V**2),
        (lambda: collections.OrderedDict(a=V), lambda o, x: (o.update(b=x), o["a"] * o["b"])[1], V**2),
        (lambda: collections.ChainMap({}, {"a": V}), lambda o, x: (o.update(b=x), o["a"] * o["b"])[1], V**2),
        (lambda: collections.UserDict(a=V), lambda o, x: (o.update(b=x), o["a"] * o["b"])[1], V**2),
        (lambda: {"a": (V, [V])}, lambda o, x: (o["a"][1].append(x), o["a"][0] * o["a"][1][1])[1], V**2),
        (lambda: np.array([V, None], dtype=object), lambda o, x: (o.__setitem__(1, x), o[0] * o[1])[1], V**2),
        (lambda: [].append, lambda o, x: (o(x), x)[1], V),
        (lambda: functools.partial(np.multiply, V), lambda o, x: o(x), V**2),
        (lambda: functools.partial(lambda w, x: w * x, w=V), lambda o, x: o(x=x), V**2),
        (lambda: functools.lru_cache(lambda n: np.full(3, float(n))), lambda o, x: o(2) * x + 0 * o(2), 2 * V),
    ],
)
def test_objects_of_every_kind(make, use, wanted):
    value, untouched = make(), make()
    assert np.array_equal(run(lambda x: use(value, x))[0], wanted)
    assert fingerprint(value) == fingerprint(untouched)


def fingerprint(value):
    parts = [(name, repr(part)) for name, part in state_of(value).items() if not callable(part)]
    return parts, repr(dict(value) if isinstance(value, dict) else value) if isinstance(
        value, (list, collections.deque, dict)
    ) and not parts else None


def test_making_a_class_anew_is_told_to_nobody():
    before = dict(Registered.known), list(Meta.made)
    run(lambda x: Child().forward(x), lambda x: WithMeta().forward(x))
    assert before == (Registered.known, Meta.made)


def test_views_of_one_buffer_stay_views():
    whole = np.zeros((2, 3))
    rows, column, reverse = whole[0], whole[:, 1], whole[::-1]

    def write(x):
        rows[:] = x
        return column * 2

    found = run(write, lambda x: reverse * x)
    assert np.array_equal(found[0], [2 * V[1], 0]) and np.array_equal(found[1], [[0, 0, 0], V * V])
    assert not whole.any()


def test_captured_arrays_are_nodes_in_their_own_format():
    data = V.astype(np.float32)
    recording = Recording({"f": lambda x: x * data})
    leaf = recording.leaf(V.astype(np.float32), "parameter")
    made = recording.call(recording.functions["f"], recording.array(leaf, np.float32))
    assert made.dtype == np.float32
    assert "captured" in [block.parameter for block in recording.program.blocks]


def test_a_vectorized_function_of_the_module():
    assert np.array_equal(run(lambda x: cube(x))[0], V**3)


def test_a_generator_of_random_numbers_is_left_where_it_is():
    generator, legacy = np.random.default_rng(0), np.random.RandomState(0)
    np.random.seed(1)  # noqa: NPY002
    expected = np.random.default_rng(0).normal(size=3), np.random.RandomState(0).randn(3)
    found = run(lambda x: generator.normal(size=3) * x, lambda x: legacy.randn(3) * x, lambda x: np.random.rand(3) * x)  # noqa: NPY002
    assert np.array_equal(found[0], expected[0] * V) and np.array_equal(found[1], expected[1] * V)
    assert np.array_equal(found[2], np.random.rand(3) * V)  # noqa: NPY002  (the first three after the seed, still to be drawn)
    assert np.array_equal(generator.normal(size=3), expected[0]) and np.array_equal(legacy.randn(3), expected[1])


PACKAGE = {
    "__init__.py": "scale = 2.0\n",
    "layers.py": "import numpy as np\nfrom . import scale\nw = None\n"
    "def total():\n    out = np.zeros(3)\n    out[:] = w\n    return out * scale\n",
    "sub/__init__.py": "",
    "sub/deep.py": "import numpy\ntable = {}\ndef double(x):\n    table['x'] = x\n    return numpy.zeros(3) + 2 * x\n",
}


@pytest.fixture
def package(tmp_path, monkeypatch):
    for name, text in PACKAGE.items():
        path = tmp_path / "my_package" / name
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield importlib.import_module("my_package.layers")
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_package"]:
        del sys.modules[name]


def imported_as(x):
    import my_package.sub.deep as deep

    return deep.double(x) + deep.table["x"]


def imported_whole(x):
    import my_package.sub.deep

    return my_package.sub.deep.double(x) + x


def imported_from(x):
    from my_package.sub import deep
    from my_package.sub.deep import double

    return double(x) + deep.table["x"]


def imported_by_name(x):
    deep = importlib.import_module("my_package.sub.deep")
    return getattr(deep, "double")(x) + deep.table["x"]  # noqa: B009


def asked_of_a_module(x):
    import my_package.sub.deep as deep

    assert hasattr(deep, "double") and not hasattr(deep, "treble")
    assert hasattr(np, "tanh") and not hasattr(np, "no_such_function")
    return getattr(deep, "treble", deep.double)(x) + getattr(np, "no_such_function", np.positive)(x)


@pytest.mark.parametrize("function", [imported_as, imported_whole, imported_from, imported_by_name, asked_of_a_module])
def test_modules_imported_in_any_way(function, package):
    assert np.array_equal(run(function)[0], 3 * V)
    assert sys.modules["my_package.sub.deep"].table == {}


def test_attributes_of_modules_are_set_in_the_copy(package):
    def function(x):
        import my_package.layers

        my_package.layers.w = x
        return my_package.layers.total()

    assert np.array_equal(run(function)[0], 2 * V)
    assert package.w is None


def numpy_in_every_way(x):
    import math
    from math import sqrt

    import numpy
    import numpy as other
    import numpy.linalg as la
    from numpy import exp, zeros
    from numpy import tanh as t
    from numpy.linalg import norm

    assert norm(x) == la.norm(x)
    return t(x) * exp(x) + numpy.ones(3) * other.zeros(3) + zeros(3) * sqrt(x[2]) * math.exp(x[0])


def test_numpy_imported_in_any_way():
    assert np.array_equal(run(numpy_in_every_way)[0], np.tanh(V) * np.exp(V))


def test_functions_of_others_are_not_made_anew():
    recording = Recording({"f": lambda x: x})
    for theirs in (functools.reduce, collections.OrderedDict, np.sum, sys, types.SimpleNamespace, pytest.raises):
        assert recording.rebind(theirs) is theirs
