"""%load_ext gradlab: the cell magic %%derivation judges the derivation written in the cell."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any


def derivation(line: str, cell: str) -> Any:
    """Judge the Markdown of a cell; the result shows each equation, rendered, with its mark.

    `%%derivation hint` says of a wrong one what kind of mistake it is, `%%derivation reveal` the repair as well.
    """
    wanted = set(line.split())
    if unknown := wanted - {"hint", "reveal"}:
        sys.stderr.write(f"%%derivation: {' '.join(sorted(unknown))}: takes nothing, hint or reveal\n")
        return None
    from gradlab.verifier import verify_text

    report = verify_text(cell, name="cell", repairs=bool(wanted))
    return replace(report, hint=bool(wanted), reveal="reveal" in wanted)


def load(ipython: Any) -> None:
    """Register the magic with an IPython shell."""
    ipython.register_magic_function(derivation, magic_kind="cell", magic_name="derivation")
