"""Right and wrong code in the styles that people write it in: every verdict right, and no mistake misnamed.

Each file in examples/ is right; the wrong ones are edits of them, in corpus.toml, from the classes of the survey.
"""

from __future__ import annotations

import importlib.util
import tomllib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

from gradlab.checker.verdict import Verdict
from gradlab.gradients import GradientReport, check_gradient, check_step, check_vjp
from gradlab.gradients.kinds import Kind

FOLDER = Path(__file__).parents[2] / "examples"
RIGHT = sorted(path.stem for path in FOLDER.glob("*.py"))

CORPUS = tomllib.loads((Path(__file__).parent / "corpus.toml").read_text())
# What is not named, and what no line is found of.
UNNAMED = {"slope-at-the-pre-activation", "loop-misses-step-0", "kronecker-missing"}
UNPLACED: set[str] = set()
QUICK = [name for name, row in CORPUS.items() if row.get("quick")]


def loaded(folder: Path, name: str, edits: Sequence[Sequence[str]] = ()) -> ModuleType:
    source = (FOLDER / f"{name}.py").read_text()
    for old, new in edits:
        assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {name}.py"
        source = source.replace(old, new)
    path = folder / f"{name}.py"
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checked(code: ModuleType, **options) -> GradientReport:
    if hasattr(code, "vjp"):
        return check_vjp(code.f, code.vjp, code.x, **options)
    if hasattr(code, "forward_step"):
        return check_step(code.forward_step, code.backward_step, code.params, code.x, code.state, **options)
    return check_gradient(code.loss, code.grad, code.params, **options)


@pytest.mark.parametrize("name", RIGHT)
def test_right_code_agrees_with_certified_digits(name: str, tmp_path: Path) -> None:
    report = checked(loaded(tmp_path, name))
    assert report.verdict is Verdict.AGREE, report
    assert set(report.oracles) == {"certified", "float_run"}
    assert report.refused == {} and report.hints == () and report.kinks == {}
    assert report.digits > 14


@pytest.mark.parametrize("name", CORPUS)
def test_wrong_code_is_proven_wrong_and_named(name: str, tmp_path: Path) -> None:
    row = CORPUS[name]
    report = checked(loaded(tmp_path, row["file"], row["edits"]), diagnosis=600 if row.get("quick") else 0)
    assert report.verdict is Verdict.DISAGREE, report
    assert report.proven
    if not row.get("quick"):
        return
    found = report.diagnosis
    assert found is not None and (found.kind is None or found.kind.key in row["class"]), found.lines()
    assert found.kind is not None or row.get("unnamed") or name in UNNAMED, found.lines()
    assert found.mistakes or name in UNPLACED, found.lines()
    if found.kind is not None:
        assert f"mistake: {found.kind}" in str(report) and report.to_json()["diagnosis"]["class"] == found.kind.key


def test_the_corpus_has_every_class_and_few_that_are_not_named() -> None:
    planted = {key for row in CORPUS.values() for key in row["class"]}
    assert planted == {kind.key for kind in Kind} - {"clipped", "clip-recursion", "truncation", "forward"}
    assert len(QUICK) >= 30 and sum(bool(row.get("unnamed")) for row in CORPUS.values()) <= len(CORPUS) / 10
