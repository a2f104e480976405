"""Figures of networks and their gradients: the only place that imports matplotlib.

Every function returns a figure; `save` writes it as PNG, SVG or GIF. No pyplot, no display, no global state.
"""

from gradlab.figures.addition import addition
from gradlab.figures.canvas import THEMES, Animation, FigureError, save
from gradlab.figures.credit import Credit, credit, credit_matrix
from gradlab.figures.network import network
from gradlab.figures.unrolled import unrolled

__all__ = [
    "THEMES",
    "Animation",
    "Credit",
    "FigureError",
    "addition",
    "credit",
    "credit_matrix",
    "network",
    "save",
    "unrolled",
]
