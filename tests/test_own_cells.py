"""A teacher's own cell: a file, or a module that a package announces; no JAX twin and no derivation needed."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import gradlab
from gradlab.cells import CELLS, CellError, UnknownName, cell, known
from gradlab.checker.verdict import Verdict
from gradlab.classroom import Limits, check_file, grade_folder, grade_lesson, write_lesson

CELL_FILES = sorted((Path(__file__).parents[1] / "examples" / "cells").glob("*.py"))
PEEPHOLE = next(path for path in CELL_FILES if path.stem == "peephole")
LIMITS = Limits(seconds=5, equation=1.0)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [Path(sysconfig.get_path("scripts")) / "gradlab", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def skip_where_not_recorded(path: Path) -> None:
    """A function that the exact arithmetic does not know is refused by name; it is no cell's fault."""
    from gradlab.mistakes.probes import short
    from gradlab.oracles import certified

    try:
        certified.evidence(cell(str(path)), short(cell(str(path)), 1), 128)
    except TypeError as error:
        if "is not recorded" in str(error):
            pytest.skip(str(error))
        raise


@pytest.mark.parametrize("path", CELL_FILES, ids=lambda path: path.stem)
def test_a_cell_in_a_file_is_checked_like_any_other(path: Path) -> None:
    skip_where_not_recorded(path)
    report = gradlab.check(str(path), examples=2)
    assert report.verdict is Verdict.AGREE
    [found] = report.cells.values()
    assert found.oracles == ["certified", "complex_step", "finite_difference"]
    assert found.cell.name == path.stem
    assert set(found.quantities) == set(found.cell.quantities)


def test_a_cell_that_a_package_announces_is_known_by_its_name() -> None:
    assert "layer" in known()
    assert "layer" not in CELLS
    report = gradlab.check("layer", examples=3)
    assert report.verdict is Verdict.AGREE


def test_the_first_lesson_is_graded(tmp_path: Path) -> None:
    right = {
        "layer.delta_y_hat": "y_hat - y",
        "layer.delta_output": "delta_y_hat * y_hat * (1 - y_hat)",
        "layer.delta_a": "delta_output @ W_output.T",
        "layer.delta_net": "delta_a * (1 - a**2)",
        "layer.grad_W_output": "rows(a).T @ rows(delta_output)",
        "layer.grad_bias": "rows(delta_net).sum(axis=0)",
        "layer.grad_W": "rows(x).T @ rows(delta_net)",
        "layer.grad_x": "delta_net @ W",
    }
    text = write_lesson("layer")
    for label, answer in right.items():
        line = next(line for line in text.splitlines() if line.endswith(f"# {label}"))
        text = text.replace(line, line.replace("...", answer, 1))
    (tmp_path / "lesson.py").write_text(text)
    report = grade_lesson(tmp_path / "lesson.py", limits=LIMITS, hint=True)
    assert [grade.label for grade in report.grades if not grade.points] == ["layer.grad_x"]
    assert report.verdict is Verdict.DISAGREE


def test_a_submission_to_a_cell_of_ones_own(tmp_path: Path) -> None:
    folder = tmp_path / "class"
    folder.mkdir()
    source = PEEPHOLE.read_text()
    assert source.count("+ delta_net_i[t] * peep_i") == 1
    (folder / "wrong.py").write_text(source.replace("+ delta_net_i[t] * peep_i", "- delta_net_i[t] * peep_i"))
    (folder / "lesson.py").write_text(write_lesson(str(PEEPHOLE)))
    report = grade_folder(
        folder, str(PEEPHOLE), limits=LIMITS, workers=1, seed=1, diagnosis=False, allow_unconfined=True
    )
    lesson, wrong = report.rows
    assert (lesson.verdict, lesson.score, lesson.out_of) == ("cannot tell", 0, 34)
    assert (wrong.verdict, wrong.first_wrong, wrong.score) == ("disagree", "peephole.delta_c_previous", 48)


def test_a_lesson_on_a_cell_of_ones_own_says_where_its_cell_is(tmp_path: Path) -> None:
    lesson = tmp_path / "lesson.py"
    assert run("exercise", PEEPHOLE, "-o", lesson).returncode == 0
    assert "h[t] = o[t] * tanh(c_shown[t])" in lesson.read_text()
    done = run("check", lesson, "--cell", PEEPHOLE)
    assert (done.returncode, done.stdout.splitlines()[-1]) == (3, "0 of 34 equations right")
    done = run("check", lesson)
    assert done.returncode == 2
    assert done.stderr.startswith(f"gradlab: {lesson}:1: no cell is called 'peephole'; there are rnn, ")


@pytest.mark.parametrize(
    "arguments",
    [("compare", "--bits", 2, "--hidden", 2), ("mistakes",), ("draw", "network"), ("draw", "unrolled")],
    ids=lambda arguments: arguments[0] + str(arguments[1:2]),
)
def test_every_command_takes_a_cell_in_a_file(arguments: tuple[object, ...], tmp_path: Path) -> None:
    out = ["-o", tmp_path / "out.png"] if arguments[0] == "draw" else []
    done = run(*arguments, "--cell", PEEPHOLE, *out)
    assert (done.returncode, done.stderr) == (0, "")


LAYER = Path(sys.modules["gradlab"].__file__ or "").parent / "manual" / "layer.py"

# What is wrong with a file: (a text in the shipped one, what stands in its place, what is said).
FLAWED = {
    "no such file": (None, "", "no such file, so no cell"),
    "empty": ("*", "", "defines no Params, State, Trace, Loss, Grads, forward, loss, bptt or rtrl"),
    "raises": ("*", "1 / 0", "importing it raises ZeroDivisionError: division by zero"),
    "no Python": ("*", "def f(:", ":1: importing it raises SyntaxError"),
    "no gradient": ("def bptt", "def gradient", "defines no bptt or rtrl"),
    "another name": ("layer.loss", "other.loss", "its labels begin with layer, other; wanted one name, the cell's"),
    "a shipped name": ("layer.", "rnn.", "its labels begin with rnn, which is a cell of gradlab's own"),
    "a label lost": ("# layer.grad_x", "", "no equation has the label layer.grad_x, which its NamedTuples declare"),
    "a label more": (
        "  # a bias is the weight of an input of 1",
        "  # layer.ones",
        "the label layer.ones is of nothing that its NamedTuples declare",
    ),
    "a meaning": ("∂L / ∂net(t)", "the delta", "cannot read the meaning 'the delta'"),
}  # fmt: skip


@pytest.mark.parametrize("name", FLAWED)
def test_a_file_that_is_no_cell_is_said_in_one_line(name: str, tmp_path: Path) -> None:
    old, new, message = FLAWED[name]
    path, text = tmp_path / "mine.py", LAYER.read_text()
    if old is not None:
        path.write_text(new if old == "*" else text.replace(old, new))
    with pytest.raises((CellError, UnknownName)) as raised:
        cell(str(path))
    assert str(raised.value).startswith(f"{path}:")
    assert message in str(raised.value)


def test_a_file_is_loaded_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(LAYER.read_text().replace("layer.", "loaded_once."))
    assert cell(str(path)) is cell(str(path)) is cell("loaded_once")
    assert cell("loaded_once").key == str(path)


def test_a_wrong_gradient_in_a_cell_of_ones_own_is_located(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(LAYER.read_text().replace("layer.", "mine.").replace("delta_a * (1 - a * a)", "delta_a * (1 - a)"))
    report = gradlab.check(str(path), examples=2)
    assert report.verdict is Verdict.DISAGREE
    assert report.cells["mine"].counterexample.label == "mine.delta_net"  # type: ignore[union-attr]


def test_a_file_that_says_it_is_another_cell_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(LAYER.read_text())
    with pytest.raises(
        gradlab.checker.watch.SubmissionError, match="has the labels of layer, and --cell says peephole"
    ):
        check_file(path, str(PEEPHOLE), limits=LIMITS)
