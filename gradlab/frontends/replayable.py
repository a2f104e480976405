"""Calls of NumPy functions, recorded on some arrays and replayed on others of the same shapes, in any arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradlab.frontends.numpy_code import Recording
from gradlab.tape.replay import needed, replay, ties

Array = np.ndarray[Any, Any]


class Undecided(Exception):
    """A comparison that steered the recorded run, and that the numbers of a replay leave open or answer otherwise."""


class Replayable:
    """The program of some calls.

    Args:
        functions: NumPy functions, by name. body: what calls them, given all of them, recording, as attributes of one
            object, and the arguments.
        arguments: trees (tuples, records, dicts) of float arrays.

    program: valid for other numbers only where nothing steered it: `program.guards` is empty. result: the tree of nodes
    that body returned.

    Raises:
        NotRecorded: something is calculated in a way that no program holds; or whatever the functions raise.
    """

    def __init__(self, functions: Mapping[str, Callable[..., Any]], body: Callable[..., Any], *arguments: Any) -> None:
        recording = Recording(functions)
        self.program = recording.program
        self._leaves: list[int] = []
        self._parts: dict[frozenset[Any], frozenset[int]] = {}

        def leaf(array: Array) -> Any:
            self._leaves.append(len(self.program.blocks))
            return recording.array(recording.leaf(array, "parameter"), array.dtype)

        given = [mapped(leaf, argument) for argument in arguments]
        made = recording.call(body, SimpleNamespace(**recording.functions), *given)
        recording.whole()
        self.result = mapped(recording.nodes, made)

    def replayed(self, arithmetic: Any, *arguments: Any, only: frozenset[Any] | None = None) -> Any:
        """The result in an arithmetic: the tree of its numbers.

        Args:
            arguments: of the shapes that were recorded: floats, exactly, or numbers as the arithmetic stores them.
            only: the keys of what is wanted, where the result is a dict; by default all of it.

        Raises:
            Undecided: what steered the run is open, or would have steered it elsewhere.
        """
        wanted, blocks = self.result, None
        if only is not None:
            wanted = {key: part for key, part in self.result.items() if key in only}
            blocks = self._needed(only, wanted)
        given = [leaf for argument in arguments for leaf in leaves(argument)]
        changed = {
            number: arithmetic.exact(array) if array.dtype.kind == "f" else arithmetic.stored(array)
            for number, array in zip(self._leaves, given, strict=True)
            if blocks is None or number in blocks
        }
        run = replay(self.program, arithmetic, changed, only=blocks)
        for tie in ties(run, self.program.guards):
            what = "is decided by rounding" if tie.contrary else "is a tie"
            raise Undecided(f"{tie.where}: a comparison {what} at this point")
        return mapped(run.numbers, wanted)

    def _needed(self, only: frozenset[Any], wanted: Any) -> frozenset[int] | None:
        """The blocks that a part of the result needs; None for all of them, where something steered the run."""
        if self.program.guards:
            return None
        if only not in self._parts:
            self._parts[only] = needed(self.program, leaves(wanted))
        return self._parts[only]


def mapped(function: Callable[[Any], Any], tree: Any) -> Any:
    """The tree with each of its leaves replaced; None stays."""
    if tree is None:
        return None
    if isinstance(tree, dict):
        return {key: mapped(function, part) for key, part in tree.items()}
    if isinstance(tree, tuple):
        parts = [mapped(function, part) for part in tree]
        return type(tree)(*parts) if hasattr(tree, "_fields") else tuple(parts)
    return function(tree)


def leaves(tree: Any) -> Iterator[Array]:
    """The arrays of a tree, in the order in which `mapped` meets them."""
    if isinstance(tree, dict):
        tree = tuple(tree.values())
    if isinstance(tree, tuple):
        for part in tree:
            yield from leaves(part)
    elif tree is not None:
        yield tree
