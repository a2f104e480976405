"""The forms by name: each draws one step of a program."""

from __future__ import annotations

from collections.abc import Callable

from programs.draft import Draft, Step

Form = Callable[[Draft], Step]
REGISTRY: dict[str, Form] = {}


def form(name: str) -> Callable[[Form], Form]:
    """Register a form under its name."""

    def registered(draw: Form) -> Form:
        assert name not in REGISTRY, name
        REGISTRY[name] = draw
        return draw

    return registered
