"""What rich draws, as plain text and as HTML: the one way in which a report becomes either.

In a Jupyter kernel a Console displays whatever it prints, even into a file, and the file stays empty; the ones here are
told that they are in none.
"""

from __future__ import annotations

import io

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

# Rules and columns line up only where all letters are equally wide, and notebooks are free to choose another font.
PAGE = (
    "<pre style=\"font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;line-height:1.3;"
    'white-space:pre;overflow-x:auto">{code}</pre>'
)

# Colours that can be read on white and on black paper, since a notebook's theme is its reader's: contrasts of 4 to 5.
BOTH = TerminalTheme(
    (132, 132, 132),  # what is dim lies halfway between its colour and this;
    (104, 104, 104),  # its colour is this where it has none
    [(118, 118, 118), (216, 60, 50), (24, 136, 62), (160, 112, 0), (54, 110, 222), (178, 72, 190), (0, 132, 138)] * 2
    + [(118, 118, 118)],
)


def as_text(drawn: RenderableType, width: int) -> str:
    """Plain text in lines of at most `width` columns, without blanks at their ends."""
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None, highlight=False, force_jupyter=False).print(drawn)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def as_html(drawn: RenderableType, width: int) -> str:
    """HTML for the output cell of a notebook, in a monospaced font; what is not markup of ours is escaped."""
    console = Console(file=io.StringIO(), width=width, record=True, highlight=False, force_jupyter=False)
    console.print(drawn)
    return console.export_html(theme=BOTH, inline_styles=True, code_format=PAGE)
