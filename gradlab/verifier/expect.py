"""What an `expect` comment announces: wrong equations that stand in a document on purpose.

<!-- expect: shape -->                   every link of the equation
<!-- expect: true, shape -->             one word for each link
<!-- expect: false for t <= T-3 -->      proven false at these steps and no others
"""

from __future__ import annotations

import re

from gradlab.verifier.document import Directive

KINDS = ("true", "false", "shape", "undefined", "syntax")

_FOR = re.compile(r"(\w+)\s+for\s+t\s*(<=|>=|<|>|=)\s*(T\s*-\s*(\d+)|\d+)")


def announcement(directive: Directive, number_of_steps: int) -> tuple[list[str], tuple[int, ...] | None, str | None]:
    """The words of an `expect` comment, the steps it names, and what is wrong with it."""
    match = _FOR.fullmatch(directive.text)
    if match is not None and match[1] == "false":
        limit = number_of_steps - int(match[4][:4]) if match[4] else int(match[3][:4])
        holds = {"<=": int.__le__, ">=": int.__ge__, "<": int.__lt__, ">": int.__gt__, "=": int.__eq__}[match[2]]
        return ["false"], tuple(step for step in range(number_of_steps) if holds(step, limit)), None
    words = [word.strip() for word in directive.text.split(",")]
    unknown = next((word for word in words if word not in KINDS), None)
    wanted = f"wanted {', '.join(KINDS)}, or one for each link, or `false for t <= T-3`"
    return words, None, None if unknown is None else f"`expect: {directive.text:.60}` cannot be read: {wanted}"
