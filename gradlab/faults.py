"""A fault of gradlab's own, where it must not take a verdict with it: one line in the report instead."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """In the place of a diagnosis that failed in gradlab's own code: the line that says so."""

    said: str
    kind: ClassVar[None] = None
    mistakes: ClassVar[tuple[str, ...]] = ()
    hint: ClassVar[bool] = False

    def lines(self) -> list[str]:
        return [self.said]

    def __str__(self) -> str:
        return self.said

    def to_json(self) -> dict[str, Any]:
        return {"fault": self.said}


def shielded(what: str, work: Callable[[], T], *read: str) -> T | Fault:
    """work(), or the Fault that it ended in, whatever it raised; an interrupt is passed on.

    Args:
        what: the part of the report that the work is for. read: methods by which a report reads the result; what they
            raise is a fault as well.
    """
    try:
        found = work()
        for method in read if found is not None else ():
            getattr(found, method)()
    except Exception as error:  # noqa: BLE001  (the verdict stands, whatever goes wrong in explaining it)
        return Fault(f"{what}: a fault of gradlab's own: {_described(error)}, please report")
    return found


def _described(error: Exception) -> str:
    """The error in one line, and where gradlab raised it."""
    said = " ".join("".join(traceback.format_exception_only(error)).split())
    frames = traceback.extract_tb(error.__traceback__)
    return f"{said} ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else said
