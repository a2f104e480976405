from __future__ import annotations

from typing import Any

import pytest

from gradlab.addition.train import Run, Settings, train


@pytest.fixture(scope="session")
def trained() -> tuple[Run, list[tuple[int, Any]]]:
    """A run with the seeds' settings, finished, and its weights at every evaluation."""
    run = Run.start(Settings(seed=3))
    return run, [(progress.step, progress.params) for progress in train(run)]


@pytest.fixture
def small() -> Settings:
    """A run of a few milliseconds."""
    return Settings(bits=4, hidden=5, epochs=150, evaluate_every=40, seed=7)
