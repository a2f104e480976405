"""Calling the functions under test: one line for whatever goes wrong in them, and never a traceback."""

from __future__ import annotations

import contextlib
import functools
import inspect
import io
from collections.abc import Callable
from typing import Any, TypeVar

from gradlab.checker.watch import SubmissionError, watched

F = TypeVar("F", bound=Callable[..., Any])


class GradientCheckError(ValueError):
    """A check that cannot be made: one line that says what is wrong, where, and what would be right."""


class WrongGradient(AssertionError):
    """A gradient that is not shown to be right: the report, written when it is read."""

    def __init__(self, why: str, report: Any) -> None:
        super().__init__(why)
        self.report = report

    def __str__(self) -> str:
        return f"{self.args[0]}\n\n{self.report}"


class UntoldEntries(UserWarning):
    """A gradient agrees, and there are entries of it in which a mistake could hide."""


def call(function: Callable[..., Any], seconds: float, work: Callable[..., Any], *args: Any, name: str) -> Any:
    """work(*args), which calls `function`; what it prints is thrown away.

    Raises:
        GradientCheckError: the function raises (the message has its file and line), or does not end in time.
    """
    try:
        found = watched(origin(function), name, seconds, _quiet, work, *args)
    except SubmissionError as error:
        raise GradientCheckError(str(error)) from None
    if isinstance(found, GradientCheckError):
        raise found
    return found


def _quiet(work: Callable[..., Any], *args: Any) -> Any:
    """work(*args); a GradientCheckError is returned, for it is a line already."""
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            return work(*args)
        except GradientCheckError as error:
            return error.with_traceback(None)


def plain(function: Any) -> Any:
    """The Python function in a method, a partial, a decorated function or a callable object."""
    while True:
        if isinstance(function, functools.partial):
            function = function.func
        elif inspect.ismethod(function):
            function = function.__func__
        elif hasattr(function, "__wrapped__"):
            function = function.__wrapped__
        elif not inspect.isroutine(function) and not inspect.isclass(function) and callable(function):
            inner = type(function).__call__
            if inner is function or not inspect.isfunction(inner):
                return function
            function = inner
        else:
            return function


def origin(function: Any) -> str:
    """The file that a function is from."""
    code = getattr(plain(function), "__code__", None)
    return code.co_filename if code is not None else getattr(function, "__module__", None) or "?"


def takes(name: str, function: Any, *wanted: str) -> None:
    """Raises GradientCheckError for a function that cannot be called with so many arguments."""
    try:
        parameters = inspect.signature(function).parameters
        inspect.signature(function).bind(*wanted)
    except ValueError:  # a function of C, which says nothing of itself
        return
    except TypeError:
        own = ", ".join(parameters)
        example = f"lambda {wanted[0]}: {name}(*{wanted[0]})" if len(wanted) == 1 and len(parameters) > 1 else ""
        raise GradientCheckError(
            f"{name} takes ({own}): pass a function of {' and '.join(wanted)}{example and f', such as {example}'}"
        ) from None


def in_one_line(function: F) -> F:
    """A public function whose GradientCheckErrors arrive without the frames of this package."""

    @functools.wraps(function)
    def called(*args: Any, **options: Any) -> Any:
        try:
            return function(*args, **options)
        except GradientCheckError as error:
            raise error.with_traceback(None) from None

    return called  # type: ignore[return-value]


def needs_callable(**functions: Any) -> None:
    """Raises GradientCheckError for an argument that cannot be called."""
    for name, function in functions.items():
        if not callable(function):
            raise GradientCheckError(f"{name} is a {type(function).__name__}, wanted a function")
