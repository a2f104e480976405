"""%load_ext gradlab: the cell magic %%derivation judges the derivation written in the cell."""

from __future__ import annotations

import sys
from typing import Any


def derivation(line: str, cell: str) -> Any:
    """Judge the Markdown of a cell; the result shows each equation, rendered, with its mark.

    `%%derivation hint` and `%%derivation reveal` say what kind of mistake it is, and the repair.
    """
    wanted = set(line.split())
    if unknown := wanted - {"hint", "reveal"}:
        sys.stderr.write(f"%%derivation: {' '.join(sorted(unknown))}: takes nothing, hint or reveal\n")
        return None
    from gradlab.verifier import verify_text

    return verify_text(cell, name="<cell>", repairs=True if wanted & {"hint", "reveal"} else None)


def load(ipython: Any) -> None:
    """Register the magic with an IPython shell."""
    ipython.register_magic_function(derivation, magic_kind="cell", magic_name="derivation")
