"""The classes of mistakes that a gradient is diagnosed with, as a survey of hand-written backward passes found them."""

from __future__ import annotations

from enum import StrEnum


class Kind(StrEnum):
    """A class of mistakes; its value is what people are told."""

    CARRY = "the carry from the later steps is missing, incomplete or never updated"
    EXPLICIT = "the recursion passes on something else than the total delta"
    OUTSIDE = "the carry is added on the wrong side of the derivative"
    SLOPE = "an activation's derivative is missing, doubled or taken at the wrong point"
    JACOBIAN = "the output's own derivative is missing or doubled"
    HALVED = "a constant factor inside an activation is missing in its derivative"
    INDEX = "the wrong step of time"
    OPERAND = "the wrong operand"
    TRANSPOSE = "a transpose is missing or too many"
    STALE = "a stale or overwritten value"
    ACCUMULATION = "a sum over steps is overwritten, or overwrites"
    LAST_LOSS = "the last step's loss is injected at every step"
    FACTOR = "a constant factor: a mean for a sum, a sum for a mean, or one forgotten"
    LOSS = "another loss than the one reported is differentiated"
    PATH = "a path is missing or counted twice"
    SIGN = "a sign"
    KRONECKER = "a Kronecker delta is missing"
    AXIS = "a sum over the wrong axis"
    CLIPPED = "the gradient is clipped, and that was not declared"
    CLIP_RECURSION = "the recursion is clipped from step to step, and that was not declared"
    TRUNCATION = "the recursion goes back fewer steps than the loss, and that was not declared"
    FORWARD = "the gradient is right for another forward pass than the loss's"

    @property
    def key(self) -> str:
        """The short name, for programs."""
        return self.name.lower().replace("_", "-")
