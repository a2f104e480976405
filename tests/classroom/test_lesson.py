"""A lesson is graded equation by equation: one wrong line does not fail the next."""

from collections.abc import Callable
from pathlib import Path

import pytest

from gradlab.cells import CELLS, cell
from gradlab.checker.verdict import Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.classroom import Limits, grade_lesson, write_lesson
from gradlab.classroom.lesson import Status
from gradlab.classroom.points import Points
from gradlab.equations import equations

Submit = Callable[[str], Path]
FillIn = Callable[[str, dict[str, str]], str]

EVERY = tuple(range(6))


@pytest.mark.parametrize("name", ["rnn", "gru"])
def test_a_lesson_done_right_scores_in_full(name: str, submit: Submit, fill_in: FillIn) -> None:
    if name not in CELLS:
        pytest.skip("not registered")
    report = grade_lesson(submit(fill_in(name, {})))
    count = len(equations(cell(name).code.gradient))
    assert report.verdict is Verdict.AGREE
    assert report.score == f"{count} of {count} equations right"


def test_a_lesson_that_is_not_begun_is_neither_right_nor_wrong(submit: Submit) -> None:
    report = grade_lesson(submit(write_lesson("rnn")))
    assert {grade.status for grade in report.grades} == {Status.NOT_DONE}
    assert report.verdict is Verdict.CANNOT_TELL
    assert report.score == "0 of 9 equations right"


# label: (a wrong right-hand side, the steps at which it is wrong, what hint says of it)
WRONG = {
    "rnn.delta_output": ("(y - y_hat) * y_hat * (1 - y_hat)", EVERY, "sign"),
    "rnn.delta_explicit": ("multiply(delta_output, W_output.T)", EVERY, "slope"),
    "rnn.delta_implicit": (
        "multiply(np.append(delta_explicit, 0 * delta_explicit[:1], axis=0)[t + 1], W_hidden.T) * slope[t]",
        EVERY[:-2],
        "explicit",
    ),
    "rnn.delta_hidden": ("delta_explicit[t]", EVERY[:-1], "."),
    "rnn.grad_W_output": ("rows(a_hidden[1:]).T @ rows(delta_output[1:])", (0,), "the term of step 0 is missing"),
    "rnn.grad_W_hidden": ("rows(a_hidden).T @ rows(delta_hidden)", EVERY, "present-state"),
    "rnn.grad_W_input": ("0.5 * rows(x).T @ rows(delta_hidden)", EVERY, "."),
    "rnn.grad_x": ("3.7 * multiply(delta_hidden, W_input.T)", EVERY, "one factor, the same for all entries"),
    "rnn.grad_a_initial": ("multiply(delta_hidden[0], W_hidden)", EVERY, "transpose"),
}


@pytest.mark.parametrize("label", WRONG)
def test_one_wrong_equation_alone_is_wrong(label: str, submit: Submit, fill_in: FillIn) -> None:
    text, steps, hint = WRONG[label]
    report = grade_lesson(submit(fill_in("rnn", {label: text})), hint=True)
    assert {grade.label for grade in report.grades if grade.status is not Status.RIGHT} == {label}
    assert report.first_wrong is not None
    assert report.first_wrong.status is Status.WRONG
    if label != "rnn.grad_a_initial":
        assert report.first_wrong.steps == steps
    said = str(report)
    assert report.score == "8 of 9 equations right"
    assert report.score in said
    assert hint == "." or hint in f"{report.first_wrong.note}; {report.first_wrong.kind}"


def test_all_wrong_together_are_each_judged_alone(
    submit: Submit, fill_in: FillIn, answers: Callable[[str], dict[str, str]]
) -> None:
    report = grade_lesson(submit(fill_in("rnn", {label: text for label, (text, *_) in WRONG.items()})), hint=True)
    assert [grade.status for grade in report.grades] == [Status.WRONG] * 9
    for answer in answers("rnn").values():
        assert answer not in str(report)
        assert answer not in str(report.to_json())


def test_without_hint_it_is_not_said_where(submit: Submit, fill_in: FillIn) -> None:
    report = grade_lesson(submit(fill_in("rnn", {"rnn.grad_x": "-multiply(delta_hidden, W_input.T)"})))
    assert "t = " not in str(report)
    assert "--hint" in str(report)


@pytest.mark.parametrize(
    ("text", "status", "note"),
    [
        pytest.param("...", Status.NOT_DONE, "", id="a blank"),
        pytest.param("delta_hidden", Status.WRONG, "has shape (6, 2, 4), wanted (6, 2, 5)", id="another shape"),
        pytest.param("1 / 0", Status.WRONG, "raises ZeroDivisionError: division by zero", id="raises"),
        pytest.param("W_inptu", Status.WRONG, "raises NameError: name 'W_inptu' is not defined", id="a wrong name"),
        pytest.param("None", Status.WRONG, "has shape (), wanted (6, 2, 5)", id="None"),
        pytest.param("np.nan * x", Status.WRONG, "", id="nan"),
        pytest.param("np.array(x, dtype=str)", Status.WRONG, "came out as <U", id="no numbers"),
        pytest.param("'[/bold]'", Status.WRONG, "has shape (), wanted (6, 2, 5)", id="markup"),
        pytest.param("1 / 0 if '[/red]' else [[/]]", Status.WRONG, "no Python: invalid syntax", id="no Python"),
    ],
)
def test_an_equation_without_a_value(text: str, status: Status, note: str, submit: Submit, fill_in: FillIn) -> None:
    path = submit(fill_in("rnn", {"rnn.grad_x": text}))
    report = grade_lesson(path)
    [grade] = [grade for grade in report.grades if grade.label == "rnn.grad_x"]
    assert grade.status is status
    assert grade.note.startswith(note)
    assert report.score == "8 of 9 equations right"
    assert str(report)


@pytest.mark.parametrize(
    ("old", "new", "label", "note"),
    [
        pytest.param("# rnn.grad_x", "", "rnn.grad_x", "must end in # rnn.grad_x", id="a label removed"),
        pytest.param("range(T)):", "range(1, T)):", "rnn.delta_hidden", "", id="a step left out"),
        pytest.param(
            "range(T)):", "range(0)):", "rnn.delta_hidden", "no line that runs comes to it", id="a loop that never runs"
        ),
    ],
)
def test_the_lines_around_an_equation_count_too(
    old: str, new: str, label: str, note: str, submit: Submit, fill_in: FillIn
) -> None:
    head, _, body = fill_in("rnn", {}).rpartition("def bptt")
    assert body.count(old) == 1
    report = grade_lesson(submit(head + "def bptt" + body.replace(old, new)), hint=True)
    [grade] = [grade for grade in report.grades if grade.label == label]
    assert grade.status is not Status.RIGHT
    assert note in grade.note
    assert (grade.steps == (0,)) == (new == "range(1, T)):")


def test_right_equations_put_together_wrongly_are_said(submit: Submit, fill_in: FillIn) -> None:
    path = submit(fill_in("rnn", {}).replace("        grad_x,\n", "        2 * grad_x,\n"))
    report = grade_lesson(path)
    assert report.right == 9
    assert report.verdict is Verdict.DISAGREE
    assert "rnn.grad_x" in report.whole
    assert report.whole in str(report).replace("\n", " ")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("x = 1", "no lesson: its first line is not '# gradlab lesson: CELL'", id="no lesson"),
        pytest.param("# gradlab lesson: elman\n", "1: no cell is called 'elman'", id="an unknown cell"),
        pytest.param("# gradlab lesson: rnn\n", "defines no function bptt", id="empty"),
    ],
)
def test_what_is_no_lesson_is_refused(text: str, message: str, submit: Submit) -> None:
    with pytest.raises(SubmissionError, match=message):
        grade_lesson(submit(text))


def test_a_label_that_stands_twice_costs_the_equation_that_lost_its_own(submit: Submit, fill_in: FillIn) -> None:
    head, _, body = fill_in("rnn", {}).rpartition("def bptt")
    report = grade_lesson(submit(head + "def bptt" + body.replace("# rnn.grad_x", "# rnn.grad_a_initial")))
    assert [grade.label for grade in report.grades if grade.status is not Status.RIGHT] == ["rnn.grad_x"]


# How a blank is broken: the right-hand side, and what else is changed in the text.
BROKEN = {
    "wrong": lambda answer: f"1.5 * ({answer})",
    "misspelt": lambda answer: f"{answer} + delta_hiden",
    "endless": lambda answer: f"[{answer} for _ in iter(int, 1)]",
    "shape": lambda answer: f"np.stack([{answer}] * 2)",
    "no Python": lambda answer: f"({answer}",
}
PATIENCE = Limits(equation=0.3)


@pytest.mark.parametrize("label", equations(cell("rnn").code.gradient))
@pytest.mark.parametrize("way", BROKEN)
def test_what_breaks_an_equation_costs_it_alone(
    way: str, label: str, submit: Submit, fill_in: FillIn, answers: Callable[[str], dict[str, str]]
) -> None:
    text = fill_in("rnn", {label: BROKEN[way](answers("rnn")[label])})
    report = grade_lesson(submit(text), limits=PATIENCE)
    assert [grade.label for grade in report.grades if grade.points == 0] == [label]
    assert (report.points, report.out_of) == (8, 9)


def test_the_nearest_name_is_suggested(submit: Submit, fill_in: FillIn) -> None:
    report = grade_lesson(submit(fill_in("rnn", {"rnn.grad_x": "multiply(delta_hiden, W_input.T)"})))
    assert "did you mean delta_hidden?" in " ".join(str(report).split())


@pytest.mark.parametrize(
    "text",
    ["sum(iter(int, 1))", "__import__('os')._exit(3)", "__import__('ctypes').string_at(0)"],
    ids=["deaf to its timer", "it ends the process", "a crash"],
)
def test_an_equation_that_ends_its_process_costs_it_alone(text: str, submit: Submit, fill_in: FillIn) -> None:
    limits = Limits(equation=0.3, grace=0.3)
    report = grade_lesson(submit(fill_in("rnn", {"rnn.delta_implicit": text})), limits=limits)
    assert [grade.label for grade in report.grades if grade.points == 0] == ["rnn.delta_implicit"]


def test_a_target_that_is_misspelt_costs_it_alone(submit: Submit, fill_in: FillIn) -> None:
    report = grade_lesson(submit(fill_in("rnn", {}).replace("grad_W_hidden = ", "grad_W_hiden = ")))
    [lost] = [grade for grade in report.grades if grade.points == 0]
    assert lost.label == "rnn.grad_W_hidden"
    assert lost.note.startswith("assigns to grad_W_hiden, wanted grad_W_hidden")


def test_a_line_that_is_gone_costs_it_alone(submit: Submit, fill_in: FillIn) -> None:
    lines = fill_in("rnn", {}).splitlines(keepends=True)
    for label in ("rnn.delta_output", "rnn.delta_hidden"):
        report = grade_lesson(submit("".join(line for line in lines if not line.endswith(f"# {label}\n"))))
        assert [grade.label for grade in report.grades if grade.points == 0] == [label]
        assert {grade.status for grade in report.grades} == {Status.RIGHT, Status.NOT_DONE}


def test_what_is_not_reached_is_not_wrong(submit: Submit, fill_in: FillIn) -> None:
    text = fill_in("rnn", {}).replace("    for t in reversed(range(T)):", "    for t in nothing:")
    report = grade_lesson(submit(text))
    reached = {grade.label: grade.status for grade in report.grades}
    assert reached["rnn.delta_explicit"] is Status.RIGHT
    assert reached["rnn.delta_implicit"] is Status.NOT_REACHED
    assert Status.WRONG not in reached.values()


def test_points_are_what_they_are_set_to(submit: Submit, fill_in: FillIn) -> None:
    worth = Points.read(["delta_implicit=3", "rnn.grad_x=0.5"], cell("rnn"))
    report = grade_lesson(submit(fill_in("rnn", {"rnn.delta_implicit": "0 * slope[t]"})), points=worth)
    assert (report.points, report.out_of) == (7.5, 10.5)
    assert report.score == "8 of 9 equations right, 7.5 of 10.5 points"


@pytest.mark.parametrize("text", ["grad_x", "grad_x=", "grad_x=-1", "grad_x=nan", "grad_z=1", "=1"])
def test_points_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(SubmissionError, match="--points"):
        Points.read([text], cell("rnn"))


# What a lesson does to be graded as what it is not: every equation is a blank that gives this.
PEEKS = {
    "the frames": """
def peek(*a):
    frame = sys._getframe()
    while frame is not None:
        for value in [*frame.f_locals.values(), *frame.f_globals.values()]:
            array = value.get("delta_output") if isinstance(value, dict) else value
            if isinstance(array, np.ndarray) and array.shape == (6, 2, 3): return array
        frame = frame.f_back
    return np.zeros((6, 2, 3))
""",
    "what was right before": """
kept = []
def peek(*a):
    kept.append([o for o in gc.get_objects() if isinstance(o, np.ndarray) and o.shape == (6, 2, 3)])
    return kept[-1][-1] if kept[-1] else np.zeros((6, 2, 3))
""",
}


@pytest.mark.parametrize("name", PEEKS)
def test_what_is_right_cannot_be_looked_up(name: str, submit: Submit) -> None:
    text = write_lesson("rnn").replace("delta_output = ...", "delta_output = peek()")
    report = grade_lesson(submit(f"{text}\nimport gc, sys\n{PEEKS[name]}"), limits=PATIENCE)
    assert report.right == 0


def test_a_hostile_lesson_scores_nothing(submit: Submit) -> None:
    text = write_lesson("rnn") + (
        "\nimport gradlab.classroom.stepwise as stepwise"
        "\nstepwise.Steps.__call__ = lambda self, name, *a: self._right(b'V', name, None, (), b'')\n"
    )
    report = grade_lesson(submit(text))
    assert report.right == 0
