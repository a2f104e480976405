"""The shipped file with edits, as somebody's own file; and one problem of any size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gradlab.manual import rnn
from gradlab.problem import Problem

SOURCE = Path(rnn.__file__).read_text(encoding="utf-8")


@pytest.fixture
def edited(tmp_path):
    """edited((old, new), …, name="mine.py"): a copy of the shipped file with these texts replaced, each found once."""

    def write(*pairs, name="mine.py"):
        text = SOURCE
        for old, new in pairs:
            assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the shipped file"
            text = text.replace(old, new)
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def inserted(edited):
    """inserted(lines): a copy of the shipped file with lines put first into bptt."""

    def write(*lines):
        first = "    a_hidden, y_hat = trace.a_hidden, trace.y_hat\n"
        return edited((first, "".join(f"    {line}\n" for line in lines) + first))

    return write


@pytest.fixture(scope="session")
def problem():
    def make(T=3, B=1, I=2, H=2, O=1, scale=1.0, seed=0, **changed):
        draw = np.random.default_rng([seed, T, B, I, H, O]).uniform
        params = rnn.Params(*(scale * draw(-1, 1, shape) for shape in ((I, H), (H, H), (H, O))))
        params = params._replace(**changed)
        return Problem(params, draw(-1, 1, (T, B, I)), draw(0, 1, (T, B, O)), rnn.State(draw(0.1, 1, (B, H))))

    return make
