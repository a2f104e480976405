"""Forms with functions and objects of the module: helpers, layers that remember their input, readings."""

from __future__ import annotations

from programs.draft import Draft, Step
from programs.registry import form


@form("helper function")
def _helper_function(s: Draft) -> Step:
    a, y = s.variable(), s.new()
    call = s.helper("logistic", "def logistic(x, rate=1.5):\n    return 1.0 / (1.0 + np.exp(-rate * x))\n")
    back = s.helper(
        "logistic_backward",
        "def logistic_backward(upstream, out, rate=1.5):\n    return upstream * rate * out * (1 - out)\n",
    )
    return Step((y,), [f"{y} = {call}({a})"], [(a, f"{back}({s.d}{y}, {y})")])


@form("lambda or local function")
def _local_function(s: Draft) -> Step:
    a, y, f = s.variable(), s.new(), f"f{s.new('u')}"
    c, d = s.number(0.4, 1.2), s.d + y
    slope = f"({c} * np.cos({c} * {a}) + 2 * {a})"
    if s.chance(0.5):
        return Step((y,), [f"{f} = lambda x: np.sin({c} * x) + x * x", f"{y} = {f}({a})"], [(a, f"{d} * {slope}")])
    forward = [f"def {f}(x, rate={c}):", "    return np.sin(rate * x) + x * x", f"{y} = {f}({a})"]
    return Step((y,), forward, [(a, f"{d} * {slope}")])


TANH_LAYER = """\
class Tanh:
    def forward(self, x):
        self.out = np.tanh(x)
        return self.out

    def backward(self, upstream):
        return upstream * (1 - self.out ** 2)
"""

LINEAR_LAYER = """\
class Linear:
    def __init__(self, scale):
        self.scale = scale

    def forward(self, x, W):
        self.x, self.W = x, W
        return self.scale * (x @ W)

    def backward(self, upstream):
        upstream = self.scale * upstream
        self.dW = self.x.T @ upstream
        return upstream @ self.W.T
"""


@form("layer object with a cache")
def _layer_object(s: Draft) -> Step:
    a, y = s.variable(ndim=(1, 2, 3)), s.new()
    s.helper("Tanh", TANH_LAYER)
    layer = s.helper(f"tanh_{y}", f"tanh_{y} = Tanh()\n")
    return Step((y,), [f"{y} = {layer}.forward({a})"], [(a, f"{layer}.backward({s.d}{y})")])


@form("linear layer object")
def _linear_object(s: Draft) -> Step:
    (n, k), (m,) = s.shape_like(2), s.sizes(1)
    x, w, y, t = s.variable(shape=(n, k)), s.variable(shape=(k, m)), s.new(), s.temporary()
    s.helper("Linear", LINEAR_LAYER)
    layer = s.helper(f"linear_{y}", f"linear_{y} = Linear({s.number(0.4, 1.2)})\n")
    before = [f"{t} = {layer}.backward({s.d}{y})"]
    return Step((y,), [f"{y} = {layer}.forward({x}, {w})"], [(x, t), (w, f"{layer}.dW")], before)


@form("readings")
def _readings(s: Draft) -> Step:
    """What a program looks at without computing with it: assertions, formatted text, isfinite, item."""
    a, y, c = s.variable(ndim=(1, 2, 3)), s.new(), s.number(0.5, 1.5)
    look = s.choice(
        f"assert np.all(np.isfinite({y})), {y}",
        f"assert {y}.shape == {s.shape(a)}",
        f"text{y} = f'{{np.mean({y}):.3f}} {{{y}}}'",
        f"assert abs({y}.ravel()[0].item()) < 1e6",
        f"size{y} = float(np.max(np.abs({y})))",
    )
    return Step((y,), [f"{y} = {c} * {a}", look], [(a, f"{c} * {s.d}{y}")], twin=[f"{y} = {c} * {a}"])
