import ast
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from gradlab.cells import CELLS, cell
from gradlab.classroom import read_source, write_lesson
from gradlab.equations import equations


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


@pytest.mark.parametrize("name", CELLS)
def test_no_answer_is_in_the_file(name: str, answers: Callable[[str], dict[str, str]]) -> None:
    text = write_lesson(name)
    plain = ast.unparse(ast.parse(text))
    gradient = plain[plain.index(f"def {cell(name).code.names[2]}") :]
    for label, answer in answers(name).items():
        assert f"= {answer}\n" not in gradient, label
        assert answer not in text.partition("class Params")[0], label


@pytest.mark.parametrize("name", CELLS)
def test_forward_and_loss_are_given_as_they_stand(name: str) -> None:
    module = cell(name).module
    given = {}
    exec(compile(write_lesson(name), "<lesson>", "exec"), given)
    for function in ("forward", "loss", cell(name).code.names[2]):
        assert callable(given[function])
    shipped = ast.parse(Path(str(module.__file__)).read_text()).body
    lesson = {getattr(node, "name", ""): ast.dump(node) for node in ast.parse(write_lesson(name)).body}
    for node in shipped:
        if getattr(node, "name", "") in ("forward", "loss", "Params", "Trace", "Grads"):
            assert lesson[node.name] == ast.dump(node)  # type: ignore[attr-defined]


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
