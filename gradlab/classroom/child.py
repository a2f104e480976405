"""The process that runs somebody's code: it answers requests for numbers, and knows of no verdict and no answer.

Whatever that code does to this process, it can at most spoil the numbers.
"""

from __future__ import annotations

import importlib.abc
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from gradlab.classroom import confine, namespaces
from gradlab.classroom.limits import Limits


def main(descriptor: int, settings: str) -> None:
    """Serve the channel until it is closed.

    Args:
        descriptor: that of the channel, a socket.
        settings: JSON: "readable", files and folders beside Python's and gradlab's, "folder", an empty one to be in,
            "limits", the fields of a `Limits`.
    """
    said = json.loads(settings)
    limits = Limits(**said["limits"])
    confine.die_with_parent()
    seen = confine.view(map(Path, said["readable"]))
    kept = namespaces.enter(seen, Path(said["folder"]), descriptor) if limits.confine else []
    confine.die_with_parent()
    confine.limit_resources(limits)
    server = _warmed_up()
    kept += confine.confine(seen) if limits.confine else []
    if confine.SECCOMP not in kept:
        confine.no_processes()
    sys.meta_path.insert(0, _Answers())
    server(socket.socket(fileno=descriptor), kept)


class _Answers(importlib.abc.MetaPathFinder):
    """Refuses what holds gradlab's answers by name; where files can be hidden, they are not there either."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        package, _, rest = name.removeprefix("gradlab.").partition(".")
        if (
            name.startswith("gradlab.")
            and package in confine.ANSWERS
            and f"{rest or '__init__'}.py" not in (confine.ANSWERS[package])
        ):
            raise ImportError(f"{name} holds gradlab's own answers, and cannot be imported from a file under test")


def _warmed_up() -> Any:
    """Import what is imported when first needed: from here on, little can be read."""
    import numpy as np

    from gradlab.arithmetic.ball import balls
    from gradlab.arithmetic.rounded import RoundedArithmetic
    from gradlab.classroom.serve import serve

    balls(np.exp(np.eye(2) @ np.eye(2))), RoundedArithmetic().constant(1.0)
    return serve
