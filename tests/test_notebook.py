"""What a notebook shows: the magic by itself, and the cells of one that a real kernel ran."""

from __future__ import annotations

from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import gradlab

DERIVATION = "---\nsizes: {N: 3}\nsteps: 4\nsymbols:\n  v: 1 x N\n---\n$$ w := v + v $$\n\n$$ w = 3 v $$\n"


class Shell:
    def __init__(self) -> None:
        self.magics: dict[tuple[str, str], Any] = {}

    def register_magic_function(self, function: Any, magic_kind: str, magic_name: str) -> None:
        self.magics[magic_kind, magic_name] = function


def test_the_extension_registers_a_cell_magic_that_judges_the_cell() -> None:
    shell = Shell()
    gradlab.load_ipython_extension(shell)
    report = shell.magics["cell", "derivation"]("", DERIVATION)
    assert report.verdict == "disagree"
    assert "✓" in report._repr_markdown_()
    assert "✗" in report._repr_markdown_()


def test_a_true_derivation_has_no_cross() -> None:
    slope = r"$$ L := v v^T $$" + "\n\n" + r"$$ \frac{\partial L}{\partial v} = 2 v $$" + "\n"
    report = gradlab.verify(text=DERIVATION.replace("3 v", "2 v") + "\n" + slope)
    assert report.ok
    assert "✗" not in report._repr_markdown_()


def test_a_word_that_the_magic_does_not_know_is_said(capsys: Any) -> None:
    shell = Shell()
    gradlab.load_ipython_extension(shell)
    assert shell.magics["cell", "derivation"]("hnt", DERIVATION) is None
    assert capsys.readouterr().err == "%%derivation: hnt: takes nothing, hint, reveal or --continue\n"


def test_a_shell_without_tables_shows_the_text_of_a_result() -> None:
    results = [gradlab.compare("rnn"), gradlab.check("rnn", examples=1), gradlab.verify(text=DERIVATION)]
    for result in results:
        assert repr(result) == str(result)


def test_a_word_decides_what_is_said_of_a_wrong_equation() -> None:
    shell = Shell()
    gradlab.load_ipython_extension(shell)
    kind, change = "a factor is wrong", "becomes"
    for word, told in (("", ()), ("hint", (kind,)), ("reveal", (kind, change))):
        report = shell.magics["cell", "derivation"](word, DERIVATION)
        for text in (str(report), report._repr_markdown_()):
            assert [part for part in (kind, change) if part in text] == list(told), (word, text)


CELLS = {
    "extension": "%load_ext gradlab",
    "derivation": "%%derivation\n" + DERIVATION,
    "derivation, revealed": "%%derivation reveal\n" + DERIVATION,
    "functions": """
import gradlab
import numpy as np

w = {"<b>": np.array([0.5, 0.25])}

def loss(p):
    return np.sum(np.tanh(p["<b>"]) ** 2)

def right(p):
    h = np.tanh(p["<b>"])
    return {"<b>": 2 * h * (1 - h ** 2)}

def wrong(p):
    h = np.tanh(p["<b>"])
    return {"<b>": 2 * h * (1 - h)}
""",
    "check": "gradlab.check(examples=1)",
    "compare": "gradlab.compare()",
    "check_gradient": "report = gradlab.check_gradient(loss, wrong, w)\nreport",
    "text": "print(str(report))",
    "assert_gradient": "gradlab.assert_gradient(loss, right, w)",
    "assert_gradient, wrong": "gradlab.assert_gradient(loss, wrong, w)",
}
HANG = 300  # seconds for a cell or for the start of the kernel: none takes more than a few


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """The outputs of each cell of a notebook that a kernel has run, nobody's settings in force."""
    folder = tmp_path_factory.mktemp("jupyter")
    cells = [nbformat.v4.new_code_cell(text.strip("\n")) for text in CELLS.values()]
    notebook = nbformat.v4.new_notebook(cells=cells)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(folder / name.lower()))
        client = NotebookClient(notebook, timeout=HANG, startup_timeout=HANG, allow_errors=True, kernel_name="python3")
        client.execute(cwd=str(folder))
    return {name: cell.outputs for name, cell in zip(CELLS, notebook.cells, strict=True)}


def result(outputs: list[Any]) -> dict[str, str]:
    """What a cell showed, by media type: it showed one thing, once."""
    (output,) = outputs
    assert output.output_type == "execute_result", output
    assert all(text.strip() for text in output.data.values())
    return dict(output.data)


def test_the_extension_loads_in_silence(ran: dict[str, list[Any]]) -> None:
    assert ran["extension"] == [] == ran["functions"]


def test_a_cells_derivation_is_shown_under_its_name(ran: dict[str, list[Any]]) -> None:
    plain, revealed = (result(ran[name]) for name in ("derivation", "derivation, revealed"))
    for shown in (plain, revealed):
        assert shown.keys() == {"text/plain", "text/markdown"}
        assert "| ✓ | $w := v + v$ |" in shown["text/markdown"] and "| ✗ | $w = 3 v$ |" in shown["text/markdown"]
        assert "\n\ncell: 1 definitions, 1 claims" in shown["text/markdown"]
        assert shown["text/plain"].startswith("cell:9:4: FALSE")
    assert "becomes" not in str(plain)
    assert "a factor is wrong; true if $3 v$ becomes" in revealed["text/markdown"]


@pytest.mark.parametrize(
    ("name", "first", "last"),
    [
        ("check", "rnn · gradlab.manual.rnn", "agree"),
        ("compare", "rnn   T=8", "agree"),
        ("check_gradient", "disagree   proven wrong", "params['<b>'][1] is"),
        ("assert_gradient", "agree   to", "Certified at 4 points"),
    ],
)
def test_a_report_is_shown_once_as_a_table(ran: dict[str, list[Any]], name: str, first: str, last: str) -> None:
    shown = result(ran[name])
    assert shown.keys() == {"text/plain", "text/html"}
    lines = shown["text/plain"].splitlines()
    assert lines[0].startswith(first) and lines[-1].startswith(last), lines
    html = shown["text/html"]
    assert html.startswith('<pre style="font-family:') and "monospace" in html[:120] and html.count("<pre") == 1
    assert "<b>" not in html and html.count("&lt;b&gt;") == shown["text/plain"].count("<b>")


def test_the_text_of_a_report_is_whole_and_displays_nothing(ran: dict[str, list[Any]]) -> None:
    (printed,) = ran["text"]
    assert printed.output_type == "stream" and printed.name == "stdout"
    assert printed.text.splitlines() == result(ran["check_gradient"])["text/plain"].splitlines()
    assert "`2 * h * (1 - h)` should be" in printed.text, "functions of a cell have their source at hand"


def test_a_failed_assertion_is_its_report(ran: dict[str, list[Any]]) -> None:
    (output,) = ran["assert_gradient, wrong"]
    assert output.output_type == "error" and output.ename == "WrongGradient"
    assert output.evalue.startswith("the gradient is not shown to be right\n\ndisagree   proven wrong")
    assert "mistake: " in output.evalue
