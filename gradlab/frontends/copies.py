"""What is copied of a value, and what is not: whose a module is, an object's parts, an array's views."""

from __future__ import annotations

import abc
import collections
import functools
import sys
import types
from typing import Any

import numpy as np

# Packages whose own functions are not made anew: what they calculate with numbers of another kind is refused.
FOREIGN = frozenset(
    {"numpy", "scipy", "jax", "jaxlib", "torch", "tensorflow", "pandas", "numba", "flint", "hypothesis", "matplotlib"}
    | {"rich", "pytest", "_pytest", "IPython", "tqdm"}
)

# Classes of Python's own that hold what the user puts in.
HOLDERS = frozenset({"types.SimpleNamespace", "argparse.Namespace"}) | {
    f"collections.{name}" for name in ("ChainMap", "Counter", "OrderedDict", "UserDict", "UserList", "defaultdict")
}

# What a class must be made with.
_MADE_WITH = ("__module__", "__qualname__", "__slots__", "__doc__", "__orig_bases__")

# What a class has of itself, and its copy gets anew; and what would have its making told to others once more.
_OF_A_CLASS = frozenset({*_MADE_WITH, "__dict__", "__weakref__", "_abc_impl", "__init_subclass__"})

# What containers are built on, in the order in which to look.
_BUILTIN = (collections.OrderedDict, collections.defaultdict, collections.deque, dict, list, set)


@functools.cache
def is_users(module: str) -> bool:
    """Whether a module's functions may be made anew: not those of Python, of this package or of a foreign one."""
    top = module.partition(".")[0]
    if top in FOREIGN or (top in sys.stdlib_module_names and top != "__main__") or top == "builtins":
        return False
    if top != "gradlab":
        return True
    return module.startswith(("gradlab.manual", "gradlab.addition"))


def is_copied(kind: type) -> bool:
    """Whether the objects of a class are made anew."""
    return is_users(kind.__module__) or f"{kind.__module__}.{kind.__qualname__}" in HOLDERS


def empty_class(kind: Any, bases: tuple[Any, ...]) -> Any:
    """The class over other bases, without its attributes. Raises TypeError where it cannot be made so."""
    namespace = {name: vars(kind)[name] for name in _MADE_WITH if name in vars(kind)}
    meta = type(kind)
    # A metaclass of the user's would have the making told to his own registries.
    new = abc.ABCMeta.__new__ if issubclass(meta, abc.ABCMeta) else type.__new__
    return new(meta, kind.__name__, bases, namespace)


def attributes(kind: Any) -> dict[str, Any]:
    """A class's own attributes, which its copy is to have."""
    return {
        name: value
        for name, value in vars(kind).items()
        if name not in _OF_A_CLASS and not isinstance(value, (types.MemberDescriptorType, types.GetSetDescriptorType))
    }


def empty_object(value: Any, kind: Any) -> Any:
    """An object of a class like the value, without its parts. Raises TypeError where its memory is not an object's."""
    if isinstance(value, types.SimpleNamespace):
        return types.SimpleNamespace.__new__(kind)
    for builtin in _BUILTIN:
        if isinstance(value, builtin):
            made: Any = builtin.__new__(kind)
            if isinstance(value, collections.deque):
                collections.deque.__init__(made, (), value.maxlen)
            return made
    return object.__new__(kind)


def state_of(value: Any) -> dict[str, Any]:
    """The attributes of an object, those in slots too."""
    found = dict(getattr(value, "__dict__", {}))
    for kind in type(value).__mro__:
        slots = kind.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            mangled = (
                f"_{kind.__name__.lstrip('_')}{name}" if name.startswith("__") and not name.endswith("__") else name
            )
            slot = kind.__dict__.get(mangled)
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    found[mangled] = slot.__get__(value)
                except AttributeError:  # not yet assigned
                    continue
    return found


def names(code: types.CodeType) -> set[str]:
    """Every global name that the code, and the code inside it, may ask for."""
    found = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            found |= names(constant)
    return found


def root_of(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The array whose memory an array is a view of."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def view_like(view: np.ndarray[Any, Any], root: np.ndarray[Any, Any], made: Any) -> Any:
    """The part of a copy of an array that a view is of the array: it shares the copy's memory."""
    from gradlab.tape.recorded import Recorded, nodes, recorded

    buffer = nodes(made) if isinstance(made, Recorded) else made
    offset = view.__array_interface__["data"][0] - root.__array_interface__["data"][0]
    flat = buffer if buffer.flags.c_contiguous else buffer.T
    scale = buffer.itemsize // root.itemsize
    strides = tuple(step * scale for step in view.strides)
    part: Any = np.ndarray(view.shape, buffer.dtype, flat, offset * scale, strides)
    return recorded(made.program, part, made.format) if isinstance(made, Recorded) else part
