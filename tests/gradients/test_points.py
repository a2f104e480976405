"""The points beside the one given."""

from __future__ import annotations

import numpy as np

import gradlab


def never_ends_elsewhere(w: np.ndarray) -> float:
    while w[0] < 0.1:
        pass
    return float(w[0] * w[0])


def test_a_loss_that_never_ends_beside_the_point_has_only_the_time_that_is_left() -> None:
    report = gradlab.check_gradient(never_ends_elsewhere, lambda w: 2 * w, np.array([1.5]), seconds=3)
    told = [point.why for point in report.points if "did not end within" in (point.why or "")]
    assert report.verdict == "agree"
    assert len(told) == 1
    assert "within 3 s" not in told[0]  # which is what the whole call has
