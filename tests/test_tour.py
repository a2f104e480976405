"""The notebook tour in examples/, run by a real kernel: what every cell of it shows."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import gradlab
from gradlab.notebook import Notebook

TOUR = Path(__file__).parents[1] / "examples" / "tour.ipynb"
HANG = 300  # seconds for a cell or for the start of the kernel: none takes more than a few

# The first line of a cell's code, with the magic's line: what its output says, by media type; None: it shows nothing.
SHOWN: list[tuple[str, dict[str, list[str]] | None]] = [
    ("%load_ext gradlab", None),
    ("import numpy as np", None),
    (
        "%%gradlab weights",
        {
            "text/plain": [
                "disagree   proven wrong",
                "params['W']  (3, 4)       12 ✗",
                "(1 - h)` should be",
                "1 - h ** 2",
            ],
            "text/html": ["<pre", "disagree"],
        },
    ),
    ("%%gradlab weights", {"text/plain": ["agree   to", "4 agree"], "text/html": ["<pre", "agree"]}),
    ("from typing import Annotated, Any, NamedTuple", None),
    (
        "%%gradlab",
        {
            "text/plain": [
                "layer · lesson · the cell",
                "layer.delta_y_hat    right",
                "layer.delta_net      wrong     t = 0, 1, 2, 3, 4, 5 of 0..5",
                "layer.grad_bias      wrong",
                "did you mean delta_net?",
                "layer.grad_x         not done",
                "5 of 8 equations right",
            ],
            "text/html": ["<pre", "not done"],
        },
    ),
    ("%%derivation", {"text/markdown": ["| ✓ |"], "text/plain": ["2 definitions, 1 claims: 1 true"]}),
    (
        "%%derivation --continue reveal",
        {"text/markdown": ["✗", "W^T"], "text/plain": ["cell:1:", "a transpose is missing", "true if W becomes W^T"]},
    ),
    ("%%derivation --continue", {"text/markdown": ["| ✓ |"], "text/plain": ["0 definitions, 1 claims: 1 true"]}),
    (
        "import gradlab",
        {"text/plain": ["rnn · gradlab.manual.rnn", "agree   8 problems, seed 0"], "text/html": ["<pre"]},
    ),
]


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """The code cells of the tour, run, nobody's settings in force."""
    folder = tmp_path_factory.mktemp("tour")
    notebook = nbformat.read(TOUR, as_version=4)
    assert all(not cell.outputs for cell in notebook.cells if cell.cell_type == "code")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(name, str(folder / name.lower()))
        client = NotebookClient(notebook, timeout=HANG, startup_timeout=HANG, allow_errors=True, kernel_name="python3")
        client.execute(cwd=str(folder))
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


@pytest.mark.parametrize("number", range(len(SHOWN)), ids=lambda number: f"{number} {SHOWN[number][0][:30]}")
def test_a_cell_shows_what_it_is_there_to_show(number: int, cells: list[Any]) -> None:
    first, wanted = SHOWN[number]
    assert len(cells) == len(SHOWN)
    assert cells[number].source.splitlines()[0] == first
    if wanted is None:
        assert cells[number].outputs == []
        return
    (output,) = cells[number].outputs
    assert output.output_type == "execute_result"
    assert set(output.data) == set(wanted)
    for kind, parts in wanted.items():
        shown = output.data[kind] if kind == "text/html" else " ".join(output.data[kind].split())
        for part in parts:
            assert (part if kind == "text/html" else " ".join(part.split())) in shown, (kind, part, shown)


def luminance(colour: str) -> float:
    parts = (int(colour[i : i + 2], 16) / 255 for i in (0, 2, 4))
    red, green, blue = (part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_what_is_shown_can_be_read_in_a_light_and_in_a_dark_notebook(cells: list[Any]) -> None:
    pages = [output.data["text/html"] for cell in cells for output in cell.outputs if "text/html" in output.data]
    colours = {colour for page in pages for colour in re.findall(r"color: #([0-9a-f]{6})", page)}
    assert len(pages) == 4
    assert len(colours) >= 3
    for colour in colours:
        own = luminance(colour) + 0.05
        assert 1.05 / own > 3.9, colour  # on white
        assert own / (luminance("111111") + 0.05) > 3.9, colour  # on JupyterLab's dark paper
    assert all("background-color" not in page for page in pages)
    assert all("overflow-x:auto" in page for page in pages)


class Shell:
    """As much of a shell as the magics need."""

    def __init__(self) -> None:
        self.user_ns: dict[str, Any] = {}

    def run_cell(self, cell: str) -> Any:
        class Done:
            success = True

        exec(cell, self.user_ns)
        return Done


@pytest.fixture
def magic() -> Callable[..., Any]:
    return Notebook(Shell()).gradlab


@pytest.mark.parametrize(
    ("line", "cell", "message"),
    [
        ("a b", "", "takes a cell or the name of your parameters, nothing more"),
        ("", "x = 1", "the cell defines neither bptt (or rtrl) nor grad; one of them is judged"),
        ("", "def grad(w): ...", "loss, params must be defined first; parameters of another name: %%gradlab NAME"),
        ("", "def bptt(*a): ...", "the cell: forward, loss must be defined first; wanted forward, loss, bptt"),
        ("elman", "def bptt(*a): ...", "no cell is called 'elman'; there are rnn, "),
        ("gru", "def bptt(*a):\n    x = 1  # rnn.grad_x", "the cell: has the labels of rnn, and --cell says gru"),
    ],
)
def test_what_the_magic_cannot_judge_is_said_in_a_line(
    line: str, cell: str, message: str, magic: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert magic(line, cell) is None
    said = capsys.readouterr().err
    assert said.startswith(f"%%gradlab: {message}")
    assert said.count("\n") == 1


def test_functions_without_labels_are_judged_as_a_whole(magic: Callable[..., Any]) -> None:
    text = (Path(gradlab.__file__).parent / "manual" / "rnn.py").read_text()
    report = magic("", re.sub(r" +# rnn\.\w+$", "", text, flags=re.MULTILINE))
    assert report.ok
    assert list(report.cells) == ["rnn"]


def test_a_notebook_that_goes_on_knows_what_was_defined_before() -> None:
    magic = Notebook(Shell()).derivation
    front = "---\nsizes: {N: 3}\nsymbols:\n  v: 1 x N\n---\n"
    assert magic("", f"{front}$$ L := v v^T $$").counts["definitions"] == 1
    slope = r"$$ \frac{\partial L}{\partial v} = "
    right, wrong = magic("--continue", f"{slope}2 v $$"), magic("--continue reveal", f"{slope}3 v $$")
    assert right.ok
    assert [finding.place.line for finding in (*right.findings, *wrong.findings)] == [1, 1]
    assert "becomes" in str(wrong)
    assert magic("", f"{slope}2 v $$").verdict != "agree"  # another document


def test_pytest_collects_the_equations_of_a_notebook(pytester: pytest.Pytester) -> None:
    front = "---\nsizes: {N: 3}\nsymbols:\n  v: 1 x N\n---\n"
    texts = [f"{front}$$ w := v + v $$", "$$ w = 2 v $$", "$$ w = 3 v $$"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text) for text in texts])
    nbformat.write(notebook, pytester.path / "derivation.ipynb")
    outcome = pytester.runpytest_subprocess("--derivations", "-v")
    outcome.assert_outcomes(passed=2, failed=1)
    outcome.stdout.fnmatch_lines(["*cell 3, 1:*FAILED*"])


def test_verify_reads_the_derivation_of_the_tour(tmp_path: Path) -> None:
    path = tmp_path / "tour.ipynb"
    shutil.copy(TOUR, path)
    counts = gradlab.verify(path).counts
    if not counts["definitions"]:
        pytest.skip("this verifier reads Markdown cells alone")
    assert (counts["definitions"], counts["true"], counts["shape"] + counts["false"]) == (2, 2, 1)
