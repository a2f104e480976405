"""How loss and gradient stand in a module, and how the one finds what the other computed.

Each wiring takes the same lines: `forward` (with the loss), `backward`, the `names` of forward values that the backward
lines read, and `gradient` (the lines that make `g`). It returns the lines of the module from the first function on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

Lines = list[str]


@dataclass(frozen=True)
class Parts:
    """What a module is put together from.

    unpack: all parameters by name; unpack_read: those that the backward lines read. values: forward without the loss.
    total: the name of the loss; returned: what is returned of it. defaults: arguments that hold captured data.
    enclosed: captured data that belongs in a closure. attributes: captured data of the object `self`.
    """

    unpack: Sequence[str]
    unpack_read: Sequence[str]
    forward: Sequence[str]
    values: Sequence[str]
    backward: Sequence[str]
    names: Sequence[str]
    total: str
    returned: str
    defaults: str = ""
    enclosed: Sequence[str] = ()
    attributes: Sequence[str] = ()

    def loss(
        self, *keep: str, name: str = "loss", first: Sequence[str] = (), me: str = "", returned: str = ""
    ) -> Lines:
        """The loss, which keeps something before it returns."""
        body = [*first, *self.unpack, *self.forward, *keep, f"return {returned or self.returned}"]
        return [f"def {name}({me}params{self.defaults}):", *indented(body), ""]

    def grad(self, *found: str, me: str = "") -> Lines:
        """The gradient, which first finds what was kept."""
        body = [*found, *self.unpack_read, *self.backward, "return g"]
        return [f"def grad({me}params{self.defaults}):", *indented(body), ""]


def indented(lines: Sequence[str]) -> Lines:
    """The lines one level further in."""
    return [f"    {line}" if line else line for line in lines]


def _tuple(names: Sequence[str]) -> str:
    return "(" + ", ".join(names) + ("," if len(names) == 1 else "") + ")"


def recomputed(p: Parts) -> Lines:
    """The gradient runs the forward lines anew."""
    body = [*p.unpack, *p.values, *p.backward, "return g"]
    return [*p.loss(), f"def grad(params{p.defaults}):", *indented(body), ""]


def returned_cache(p: Parts) -> Lines:
    """`forward` returns the loss and a tuple."""
    forward = p.loss(f"cache = {_tuple(p.names)}", name="forward", returned=f"{p.total}, cache")
    found = ["_, cache = forward(params)", f"{_tuple(p.names)} = cache"]
    returned = p.returned.replace(p.total, "forward(params)[0]")
    return [*forward, "def loss(params):", f"    return {returned}", "", *p.grad(*found)]


def loss_and_grad(p: Parts) -> Lines:
    """One function does both."""
    body = [*p.unpack, *p.forward, *p.backward, f"return {p.returned}, g"]
    return [
        *[f"def loss_and_grad(params{p.defaults}):", *indented(body), ""],
        *["def loss(params):", "    return loss_and_grad(params)[0]", ""],
        *["def grad(params):", "    value, g = loss_and_grad(params)", "    return g", ""],
    ]


def global_dict(p: Parts) -> Lines:
    """The loss fills a dict of the module."""
    kept = [f'CACHE["{name}"] = {name}' for name in p.names]
    return ["CACHE = {}", "", *p.loss(*kept), *p.grad(*[f'{name} = CACHE["{name}"]' for name in p.names])]


def global_names(p: Parts) -> Lines:
    """The loss assigns names of the module."""
    return [*p.loss(first=[f"global {', '.join(p.names)}"] if p.names else []), *p.grad()]


def global_list(p: Parts) -> Lines:
    """The loss fills a list of the module."""
    kept = [f"KEPT[:] = [{', '.join(p.names)}]"]
    return ["KEPT = []", "", *p.loss(*kept), *p.grad(f"[{', '.join(p.names)}] = KEPT")]


def global_object(p: Parts) -> Lines:
    """The loss sets attributes of an object of the module."""
    kept, found = [f"state.{n} = {n}" for n in p.names], [f"{n} = state.{n}" for n in p.names]
    return ["class State:", "    pass", "", "state = State()", "", *p.loss(*kept), *p.grad(*found)]


def function_attribute(p: Parts) -> Lines:
    """The loss keeps a tuple on itself."""
    return [*p.loss(f"loss.cache = {_tuple(p.names)}"), *p.grad(f"{_tuple(p.names)} = loss.cache")]


def _model(p: Parts, kept: Sequence[str], found: Sequence[str]) -> Lines:
    start = ["def __init__(self):", *indented([*p.attributes, "self.cache = None"]), ""]
    methods = [*start, *p.loss(*kept, me="self, "), *p.grad(*found, me="self, ")]
    return ["class Model:", *indented(methods), "model = Model()", "loss, grad = model.loss, model.grad"]


def object_cache(p: Parts) -> Lines:
    """The methods of an object share a dict."""
    kept = "self.cache = {" + ", ".join(f'"{name}": {name}' for name in p.names) + "}"
    return _model(p, [kept], [f'{name} = self.cache["{name}"]' for name in p.names])


def object_attributes(p: Parts) -> Lines:
    """The methods of an object share its attributes."""
    return _model(p, [f"self.{name} = {name}" for name in p.names], [f"{name} = self.{name}" for name in p.names])


def closure_dict(p: Parts) -> Lines:
    """Two functions share a dict around them."""
    kept = f"cache.update({', '.join(f'{name}={name}' for name in p.names)})"
    body = [*p.enclosed, "cache = {}", "", *p.loss(kept), *p.grad(*[f'{name} = cache["{name}"]' for name in p.names])]
    return ["def build():", *indented([*body, "return loss, grad"]), "", "loss, grad = build()"]


def closure_nonlocal(p: Parts) -> Lines:
    """The loss assigns names of the function around both."""
    start = [f"{' = '.join(p.names)} = None", ""] if p.names else []
    first = [f"nonlocal {', '.join(p.names)}"] if p.names else []
    body = [*p.enclosed, *start, *p.loss(first=first), *p.grad()]
    return ["def build():", *indented([*body, "return loss, grad"]), "", "loss, grad = build()"]


WIRINGS: dict[str, Callable[[Parts], Lines]] = {
    "recomputed in grad": recomputed,
    "cache returned by forward": returned_cache,
    "loss and grad in one": loss_and_grad,
    "cache in a global dict": global_dict,
    "cache in global names": global_names,
    "cache in a global list": global_list,
    "cache in a global object": global_object,
    "cache on the function": function_attribute,
    "cache in an object's dict": object_cache,
    "cache in an object's attributes": object_attributes,
    "cache in a closure's dict": closure_dict,
    "cache in a closure's names": closure_nonlocal,
}
OBJECTS = frozenset({"cache in an object's dict", "cache in an object's attributes"})
CLOSURES = frozenset({"cache in a closure's dict", "cache in a closure's names"})
