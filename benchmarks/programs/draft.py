"""A program while it is drawn: its parameters, captured data and values so far, and the steps that were accepted.

A step is a statement or a few that stand together: forward lines, the same for jax.numpy, and backward lines. Each is
tried on numbers before it is taken, so that every program is defined, free of ties, and of values of order 1.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np

LARGEST_VALUE = 6.0
LARGEST_SIZE = 32  # entries of one array
LEAST_DISTANCE = 1 / 64  # from a tie or a kink: beyond every rounding, and rarely met by chance
MOST_LEAVES = 6
ATTEMPTS = 12  # tries of a form before another is drawn


class Unsuitable(Exception):
    """A step that cannot be taken here: a value out of range, a tie, or operands that are not to be had."""


@dataclass(frozen=True)
class Step:
    """Lines that belong together.

    outputs: the variables they make, of which each has a gradient. pulls: (operand, expression) or (operand,
    expression, index): what is added to the gradient of an operand, or to the part of it at an index; an operand that
    is captured data has none, and its pull is left out. before: backward lines that come first. twin: the lines for
    jax.numpy where they differ. apart: expressions of which no entry may be near 0.
    """

    outputs: tuple[str, ...]
    forward: Sequence[str]
    pulls: Sequence[tuple[str, ...]]
    before: Sequence[str] = ()
    twin: Sequence[str] | None = None
    apart: Sequence[str] = ()


@dataclass
class Draft:
    """What was drawn so far. Everything random comes from `rng`.

    ways: how data is captured, one or more of global, default, attribute, item, closure. owner: the name of the object
    that captured attributes belong to. d: the prefix of names of gradients.
    """

    rng: np.random.Generator
    ways: Sequence[str]
    owner: str
    d: str
    leaves: dict[str, Any] = field(default_factory=dict)
    captured: dict[str, tuple[str, str]] = field(default_factory=dict)  # name: (way, how its value is written)
    helpers: dict[str, str] = field(default_factory=dict)  # name: its definition
    variables: dict[str, bool] = field(default_factory=dict)  # name: whether something uses it
    values: dict[str, Any] = field(default_factory=lambda: {"np": np, "DATA": {}})
    steps: list[Step] = field(default_factory=list)
    names: int = 0
    dims: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        self.dims = tuple(int(size) for size in self.rng.choice([2, 3, 3, 4], 2))
        self.values[self.owner] = SimpleNamespace()

    def copy(self) -> Draft:
        """A draft that shares the random numbers and nothing that grows; arrays in it are never changed in place."""
        made = copy.copy(self)
        for name in ("leaves", "captured", "helpers", "variables", "values", "steps"):
            setattr(made, name, copy.copy(getattr(self, name)))
        made.values["DATA"] = dict(self.values["DATA"])
        made.values[self.owner] = SimpleNamespace(**vars(self.values[self.owner]))
        return made

    def take(self, step: Step) -> None:
        """Run the step's forward lines, and keep it.

        Raises:
            Unsuitable: what they make cannot be part of the program.
        """
        for source in self.helpers.values():
            exec(source, self.values)
        with np.errstate(all="ignore"):
            exec("\n".join(step.forward), self.values)
            for expression in step.apart:
                self._refuse(np.min(np.abs(eval(expression, self.values)), initial=1.0) < LEAST_DISTANCE)
        for name in step.outputs:
            value = np.asarray(self.values[name])
            self._refuse(value.dtype != np.float64 or not 0 < value.size <= LARGEST_SIZE)
            self._refuse(not np.abs(value).max() <= LARGEST_VALUE)
            self.variables[name] = False
        for operand, *_ in step.pulls:
            if operand in self.variables:
                self.variables[operand] = True
        self.steps.append(step)

    def extended(self, draw: Callable[[Draft], Step]) -> Draft | None:
        """A copy with one more step, or None where none of a few suits."""
        for _ in range(ATTEMPTS):
            trial = self.copy()
            try:
                trial.take(draw(trial))
            except Unsuitable:
                continue
            return trial
        return None

    def _refuse(self, unsuitable: Any) -> None:
        if unsuitable:
            raise Unsuitable

    # --- what a form asks for

    def choice(self, *options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def integer(self, least: int, most: int) -> int:
        """least and most included."""
        return int(self.rng.integers(least, most + 1))

    def new(self, letters: str = "ahsuvyz") -> str:
        """A name that nothing has."""
        self.names += 1
        return f"{self.choice(*letters)}{self.names}"

    def temporary(self) -> str:
        self.names += 1
        return f"t{self.names}"

    def shape(self, reference: str) -> tuple[int, ...]:
        return np.shape(self.value(reference))

    def value(self, expression: str) -> Any:
        return eval(expression, self.values)

    def number(self, least: float, most: float) -> str:
        """A literal; one in three has more digits than a float keeps."""
        value = self.rng.uniform(least, most)
        if self.chance(1 / 3):
            return f"{value:.10f}" + "".join(str(digit) for digit in self.rng.integers(0, 10, self.integer(6, 14)))
        return f"{value:.{self.integer(1, 3)}f}"

    def sizes(self, count: int) -> tuple[int, ...]:
        """Lengths of axes."""
        return tuple(self.integer(1, 2) if self.chance(0.15) else self.choice(*self.dims) for _ in range(count))

    def shape_like(self, ndim: int) -> tuple[int, ...]:
        """The shape of a variable that there is, or another."""
        shapes = [self.shape(name) for name, used in self.variables.items() if not used or self.chance(0.3)]
        known = [shape for shape in shapes if len(shape) == ndim]
        return self.choice(*known) if known and self.chance(0.8) else self.sizes(ndim)

    def numbers(self, shape: tuple[int, ...], low: float | None = None) -> np.ndarray:
        """Values of order 1: of either sign, or above `low`."""
        values = self.rng.uniform(0.3, 1.4, shape)
        values = values * self.rng.choice([-1.0, 1.0], shape) if low is None else values + low
        return np.round(values, int(self.rng.choice([2, 3, 17])))

    def variable(
        self,
        ndim: int | Sequence[int] = (0, 1, 2, 3),
        shape: tuple[int, ...] | None = None,
        low: float | None = None,
        where: Callable[[tuple[int, ...]], bool] = lambda shape: True,
    ) -> str:
        """A variable of the program that is asked for, or a new parameter.

        where: of its shape. low: all its values are above. One that nothing uses yet is six times as likely.
        """
        ndims = [ndim] if isinstance(ndim, int) else list(ndim)

        def fits(name: str) -> bool:
            value = np.asarray(self.values[name])
            alike = value.shape == shape if shape is not None else value.ndim in ndims and where(value.shape)
            return alike and (low is None or value.min() > low)

        fitting = [name for name in self.variables if fits(name)]
        if fitting and (self.chance(0.85) or len(self.leaves) >= MOST_LEAVES):
            weights = np.array([1.0 if self.variables[name] else 6.0 for name in fitting])
            return str(self.rng.choice(fitting, p=weights / weights.sum()))
        if shape is None:
            shape = self.sizes(self.choice(*ndims))
            self._refuse(not where(shape))
        return self.leaf(self.numbers(shape, low))

    def leaf(self, value: np.ndarray) -> str:
        """A new parameter; one without axes is a Python float, a NumPy float or an array."""
        self._refuse(value.size > LARGEST_SIZE)
        name = self.new("WUbpk")
        made = value if value.ndim else self.choice(float, np.float64, np.array)(value)
        self.leaves[name] = self.values[name] = made
        self.variables[name] = False
        return name

    def data(self, value: Any, single: bool = True) -> str:
        """How captured data is referred to. A float64 array is kept in float32 at times, where `single` allows it."""
        self.names += 1
        name, way = f"{self.choice(*'XCDM')}{self.names}", self.choice(*self.ways)
        dtype = ""
        if isinstance(value, np.ndarray) and value.dtype == np.float64 and value.ndim and single and self.chance(0.25):
            value, dtype = value.astype(np.float32), ", dtype=np.float32"
        written = repr(value)
        if isinstance(value, np.ndarray):
            written = f"np.array({np.asarray(value, float).round(9).tolist() if dtype else value.tolist()}{dtype})"
        value = eval(written, {"np": np})
        self.captured[name] = (way, written)
        if way == "attribute":
            setattr(self.values[self.owner], name, value)
        elif way == "item":
            self.values["DATA"][name] = value
        else:
            self.values[name] = value
        return {"attribute": f"{self.owner}.{name}", "item": f'DATA["{name}"]'}.get(way, name)

    def constants(self, shape: tuple[int, ...], low: float | None = None, single: bool = True) -> str:
        """Captured floats, as `data` refers to them.

        single: float32 and Python floats will do. Neither may start a gradient: from there on NumPy rounds to float32.
        """
        values = np.asarray(self.numbers(shape, low))
        return self.data(values if shape or not single else float(values), single)

    def alike(self, operand: str) -> str:
        """A second operand of the same shape, which is captured data at times."""
        shape = self.shape(operand)
        return self.variable(shape=shape) if self.chance(0.75) else self.constants(shape)

    def helper(self, name: str, definition: str) -> str:
        """A function or an object of the module."""
        self.helpers[name] = definition
        return name


def summed(expression: str, source: tuple[int, ...], target: tuple[int, ...]) -> str:
    """An expression of shape `source`, summed over what broadcasting added to `target`."""
    if source == target:
        return expression
    if target == ():
        return f"np.sum({expression})"
    for _ in range(len(source) - len(target)):
        expression = f"np.sum({expression}, axis=0)"
    for axis, (had, wanted) in enumerate(zip(source[len(source) - len(target) :], target, strict=True)):
        if had != wanted:
            expression = f"np.sum({expression}, axis={axis}, keepdims=True)"
    return expression
