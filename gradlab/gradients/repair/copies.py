"""Functions copied with other code in them: the user's module, classes and objects stay as they are."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, ModuleType
from typing import Any, cast

from gradlab.gradients.rehosted import Module, Rehost, is_users
from gradlab.gradients.worlds import World


class _Floats:
    """The world of floats, in which everything stands for itself."""

    buffers = False
    float = float
    builtins = vars(builtins)

    def __init__(self) -> None:
        self.functions: dict[str, Any] = {}
        self.math: dict[str, Any] = {}
        self.special: dict[str, Any] = {}

    def holds(self, dtype: Any) -> bool:
        return False


class _Copies(Rehost):
    def _module(self, value: ModuleType) -> Any:
        return Module(self, value) if is_users(value.__name__) else value


class Copied:
    """Copies of functions and of whatever they reach.

    Args:
        codes: what code they run in the place of other code.
    """

    def __init__(
        self, functions: Mapping[str, Callable[..., Any]], codes: Mapping[CodeType, CodeType] | None = None
    ) -> None:
        self._copies = _Copies(cast(World, _Floats()), codes)
        self.functions = {name: self._copies(function) for name, function in functions.items()}

    def of(self, code: CodeType) -> list[FunctionType]:
        """The copies that were made so far of functions of this code."""
        return [copy for copy in self._copies.made if isinstance(copy, FunctionType) and copy.__code__ is code]
