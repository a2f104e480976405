"""What an oracle says: values with error bounds."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]


class Evidence(NamedTuple):
    """Values of quantities by name, each with a bound on how far the true value may be away, entry by entry.

    bits is None where values are float64 arrays; then bounds has a float64 array for each, infinite where the oracle
    cannot say anything. Otherwise values are object arrays of balls of that precision, which carry their own bounds,
    and are to be held against the code under test run in the same arithmetic.

    proven is False where some part of the bounds is an estimate: such evidence never overrules a proof.
    """

    oracle: str
    values: dict[str, Array]
    bounds: dict[str, Array]
    bits: int | None = None
    proven: bool = True
