import ast
import json
import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest

import gradlab
from gradlab.cells import CELLS, cell
from gradlab.classroom import Limits, grade_lesson, read_source, write_lesson
from gradlab.classroom.hints import hints
from gradlab.classroom.lesson_forms import write_derivation, write_notebook
from gradlab.equations import equations
from gradlab.mistakes.probes import probe


@pytest.mark.parametrize("name", CELLS)
def test_every_backward_equation_is_a_blank_with_its_meaning_above(name: str) -> None:
    lines, labels = write_lesson(name).splitlines(), list(equations(cell(name).code.gradient))
    blanks = [i for i, line in enumerate(lines) if " = ... " in line]
    assert [lines[i].split("# ")[1] for i in blanks] == labels
    for place, i in enumerate(blanks, start=1):
        quantity = cell(name).quantities[labels[place - 1].partition(".")[2]]
        assert re.fullmatch(
            rf" +# Equation {place} of {len(labels)}: the derivative of .* by .*; shape \(.*\)", lines[i - 1]
        )
        axes = [letter for letter in quantity.axes if not ("[t]" in lines[i] and letter == "T")]
        assert re.findall("[A-Z]", lines[i - 1].rpartition("shape")[2]) == axes
        assert quantity.by in lines[i - 1]


def with_at(answer: str) -> str:
    """As a lesson writes products."""
    return re.sub(r"multiply\(([^,]+), ([^,]+?)\)(?= |$)", r"\1 @ \2", answer)


@pytest.mark.parametrize("name", CELLS)
def test_no_answer_is_in_any_kind_of_lesson(name: str, answers: Callable[[str], dict[str, str]]) -> None:
    text = write_lesson(name)
    plain = ast.unparse(ast.parse(text))
    gradient = plain[plain.index(f"def {cell(name).code.names[2]}") :]
    whole = text + "".join("".join(one["source"]) for one in json.loads(write_notebook(name))["cells"])
    for label, answer in answers(name).items():
        for written in (answer, with_at(answer)):
            assert f"= {written}\n" not in gradient, label
            if len(written) > 20:
                assert written not in whole, label


@pytest.mark.parametrize("name", CELLS)
def test_forward_and_loss_are_what_they_are_in_the_cell(name: str) -> None:
    tested, given = cell(name), {}
    exec(compile(write_lesson(name), "<lesson>", "exec"), given)
    problem = probe(tested)
    params, x, y, state = problem.inputs()
    lesson, shipped = given["forward"](params, x, state), tested.code.forward(params, x, state)
    for left, right in zip(lesson, shipped, strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-13)
    assert given["loss"](lesson.y_hat, y).total == pytest.approx(tested.code.loss(shipped.y_hat, y).total)
    assert lesson._fields == shipped._fields
    assert "multiply" not in write_lesson(name)


@pytest.mark.parametrize("name", CELLS)
def test_every_blank_has_three_hints(name: str) -> None:
    found, text = hints(cell(name)), write_lesson(name)
    assert list(found) == list(equations(cell(name).code.gradient))
    for label, levels in found.items():
        assert text.count(f"{label}: ") >= 3
        for hint in levels:
            assert hint.endswith(".")
    assert hints(cell("rnn"))["rnn.grad_W_hidden"].where.startswith("W_hidden goes into net_hidden(t) at every step")
    assert hints(cell("lstm"))["lstm.delta_c"].where.startswith("c(t) goes into c_previous(t+1) and c_shown(t)")


@pytest.mark.parametrize("name", CELLS)
def test_the_forward_equations_stand_there_as_mathematics(name: str) -> None:
    head = write_lesson(name).partition("import numpy")[0]
    for quantity in cell(name).of_kind("trace"):
        assert re.search(rf"^ +{quantity.name}\(t\) +=", head, re.MULTILINE), quantity.name
    assert "\\" not in head
    assert "a_hidden(t-1) W_hidden" in head or name not in ("rnn", "rtrl")


@pytest.mark.parametrize("name", CELLS)
def test_the_lesson_in_latex_is_read_by_verify(name: str) -> None:
    report = gradlab.verify(text=write_derivation(name))
    labels = {label for label in equations(cell(name).code.gradient) if f"\\tag{{{label}}}" in write_derivation(name)}
    kinds = [finding for finding in report.findings if finding.label in labels]
    assert len(labels) > 0.7 * len(equations(cell(name).code.gradient))
    assert len(kinds) == len(labels)
    assert report.exit_status in (0, 3)


def test_a_derivation_done_is_true_and_one_done_wrong_is_false() -> None:
    blank = r"\delta_{output}(t) = ?"
    text = write_derivation("rnn")
    right = r"\delta_{output}(t) = (\hat{y}(t) - y(t)) \odot \hat{y}(t) \odot (1 - \hat{y}(t))"
    assert blank in text
    assert gradlab.verify(text=text).exit_status == 3
    assert gradlab.verify(text=text.replace(blank, right)).exit_status == 0
    assert gradlab.verify(text=text.replace(blank, right.replace("- y", "+ y"))).exit_status == 1


def test_a_notebook_is_a_lesson(tmp_path: Path) -> None:
    path = tmp_path / "mine.ipynb"
    path.write_text(write_notebook("rnn", path.name))
    nbformat.validate(nbformat.read(path, as_version=4))
    assert read_source(path).lesson == "rnn"
    report = grade_lesson(path, limits=Limits(equation=0.5))
    assert (report.points, report.out_of) == (0, 9)


def test_a_lesson_says_what_it_is_called_and_on_what(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(write_lesson("rnn", "mine.py"))
    assert read_source(path).lesson == "rnn"
    assert "gradlab check mine.py" in path.read_text()


@pytest.mark.parametrize(
    "first",
    ["", "import numpy", "# gradlab lesson: ", "# gradlab lesson: rnn!x y", " # gradlab lesson: rnn"],
    ids=["empty", "code", "no cell", "no name", "indented"],
)
def test_other_files_are_no_lessons(first: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(first + "\n# gradlab lesson: rnn\n", encoding="utf-8")
    assert read_source(path).lesson is None


def test_there_is_no_lesson_on_an_unknown_cell() -> None:
    with pytest.raises(KeyError, match="no cell is called 'elman'"):
        write_lesson("elman")
