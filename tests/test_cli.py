"""The command line: arguments in; a table, one line on stderr and an exit status out."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from gradlab import cli, oracles
from gradlab.cells import CELLS, cell
from gradlab.manual import rnn

HANG = 600.0  # seconds: what takes so long has stopped for good, however busy the machine is
GRADLAB = Path(sysconfig.get_path("scripts")) / "gradlab"
SOURCE = Path(rnn.__file__).read_text(encoding="utf-8")
LABELS = [quantity.label for quantity in cell("rnn").quantities.values()]

RETURN = "    return Grads("
BPTT = "    a_hidden, y_hat = trace.a_hidden, trace.y_hat\n"
RECURSION = "multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]"


class Said(NamedTuple):
    status: int
    out: str
    err: str


@pytest.fixture
def gradlab(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """gradlab(*arguments): what the console script does, in this process."""

    def run(*arguments: Any) -> Said:
        monkeypatch.setattr(sys, "argv", ["gradlab", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return Said(ended.value.code, *capsys.readouterr())  # type: ignore[arg-type]

    return run


def one_line(said: Said) -> str:
    """What was said of bad input: one line on stderr, nothing on stdout, exit status 2."""
    assert (said.status, said.out) == (2, ""), said
    assert re.fullmatch(r"gradlab: [^\n]+\n", said.err), said.err
    return said.err.removeprefix("gradlab: ").rstrip("\n")


def edit(*pairs: tuple[str, str]) -> str:
    text = SOURCE
    for old, new in pairs:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    return text


def in_bptt(line: str) -> str:
    return edit((BPTT, f"    {line}\n{BPTT}"))


# id: (content, what the one line says after the path)
BAD = {
    "does not parse": ("def forward(:\n", ":1:13: invalid syntax"),
    "is not UTF-8": (b'x = "\xe9"\n', "not UTF-8; save it so"),
    "is empty": ("", ": defines no function forward; wanted forward, loss, bptt"),
    "lacks a function": (SOURCE.replace("def loss(", "def cost("), ": defines no function loss"),
    "raises at import": ("import nothing_such\n", ":1: importing it raises ModuleNotFoundError"),
    "exits at import": ("raise SystemExit(0)\n", ":1: importing it raises SystemExit: 0"),
    "prints at import": ("print('hello')\n", ": importing it prints to standard output ('hello')"),
    "raises": (in_bptt("raise ValueError('no idea')"), ": bptt raises ValueError: no idea"),
    "exits": (in_bptt("raise SystemExit"), ": bptt raises SystemExit"),
    "returns wrong shapes": (edit(("Params(grad_W_input,", "Params(grad_W_input.T,")), "has shape (16, 2), wanted"),
    "lacks a field": (edit(("return Grads(", "return (")), ": what bptt returns has no field params"),
    "returns nothing": (edit((RETURN, "    return None\n" + RETURN)), ": what bptt returns has no field params"),
    "stores into float32": (
        edit(("np.empty_like(net_input, dtype)", "np.empty_like(net_input, np.float32)")),
        "float32",
    ),
    "stores into float64": (
        edit(("np.zeros(slope.shape, slope.dtype)", "np.zeros(slope.shape)")),
        "allocate with the inputs' dtype",
    ),
    "prints": (in_bptt("print('hello')"), ": bptt prints to standard output ('hello'); take the print out"),
    "modifies its inputs": (in_bptt("x *= 2"), ": bptt changes one of its inputs in place; copy it first"),
    "modifies the trace": (in_bptt("trace.y_hat[0] = 0"), ": bptt changes one of its inputs in place; copy it first"),
    "never returns": (in_bptt("while True: pass"), ": bptt did not end within 0.3 s"),
    "swallows and never returns": (
        in_bptt("while True:\n        try: raise ValueError\n        except Exception: pass"),
        ": bptt did not end within 0.3 s",
    ),
    "takes other arguments": (
        edit(("def loss(y_hat: Array, y: Array)", "def loss(y_hat: Array)")),
        ": loss raises TypeError",
    ),
    "uses entries it never assigned": (
        edit(("delta_hidden = np.zeros(", "delta_hidden = np.empty("), ("    delta_hidden[T] = after", "")),
        "takes an entry of an array that was never assigned",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_cannot_be_judged_is_said_in_one_line(
    name: str, gradlab: Callable[..., Said], tmp_path: Path
) -> None:
    content, wanted = BAD[name]
    path = tmp_path / "mine.py"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    seconds = 0.3 if "within 0.3 s" in wanted else HANG
    line = one_line(gradlab("check", path, "--examples", 2, "--seconds", seconds))
    assert line.startswith(str(path)) and wanted in line


def test_the_line_number_of_what_raises(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(in_bptt("raise ValueError('no idea')"), encoding="utf-8")
    number = path.read_text(encoding="utf-8").splitlines().index("    raise ValueError('no idea')") + 1
    assert one_line(gradlab("check", path)) == f"{path}:{number}: bptt raises ValueError: no idea"


def test_a_file_that_does_not_exist(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    assert one_line(gradlab("check", tmp_path / "gone.py")) == f"{tmp_path}/gone.py: no such file"


def test_a_folder(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    assert one_line(gradlab("check", tmp_path)) == f"{tmp_path}: neither a Python file nor a notebook is in it"


# id: (content, the label that is wrong): these can be judged, and are wrong.
WRONG = {
    "drops the recurrence": (edit((RECURSION, "0 * slope[t]")), "rnn.delta_implicit"),
    "returns NaN": (
        edit(("= multiply(delta_hidden, W_input.T)", "= np.nan * multiply(delta_hidden, W_input.T)")),
        "rnn.grad_x",
    ),
    "returns infinity": (
        edit(("= multiply(delta_hidden, W_input.T)", "= np.inf * multiply(delta_hidden, W_input.T)")),
        "rnn.grad_x",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_file_that_is_wrong_is_shown_and_exits_1(name: str, gradlab: Callable[..., Said], tmp_path: Path) -> None:
    content, label = WRONG[name]
    path, out = tmp_path / "mine.py", tmp_path / "out.json"
    path.write_text(content, encoding="utf-8")
    said = gradlab("check", path, "--examples", 5, "--json", out)
    assert (said.status, said.err) == (1, "")
    assert re.search(rf"^{label} is first wrong at t = ", said.out, re.MULTILINE)
    assert said.out.splitlines()[-1].startswith("disagree")
    found = json.loads(out.read_text(encoding="utf-8"))
    assert found["verdict"] == "disagree" and found["cells"]["rnn"]["first_wrong"]["label"] == label
    assert found["cells"]["rnn"]["counterexample"]["sizes"]["T"] <= 2


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_a_file_that_never_assigns_an_entry(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    right = "= multiply(delta_hidden, W_input.T)"
    path = tmp_path / "mine.py"
    path.write_text(edit((right, f"= np.empty_like(x); grad_x[1:] {right}[1:]")), encoding="utf-8")
    said = gradlab("check", path, "--examples", 5)
    assert (said.status, said.err) == (1, "") and "rnn.grad_x is first wrong at t = 0" in said.out


def test_a_copy_of_the_shipped_file_agrees(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(SOURCE, encoding="utf-8")
    said = gradlab("check", path, "--cell", "rnn", "--examples", 5, "--seed", 3, "--json", tmp_path / "out.json")
    assert (said.status, said.err) == (0, "")
    assert all(label in said.out for label in LABELS) and f"rnn · {path}"[:60] in said.out
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert (found["verdict"], found["examples"], found["seed"]) == ("agree", 5, 3)


def test_all_is_every_registered_cell(
    gradlab: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, two = tmp_path / "all.json", {name: CELLS[name] for name in ("rnn", "gru")}
    monkeypatch.setattr("gradlab.checker.check.CELLS", two)  # all four take too long for a test
    assert gradlab("check", "--cell", "all", "--examples", 1, "--json", path).status == 0
    assert list(json.loads(path.read_text())["cells"]) == list(two)


def test_without_a_cell_it_is_the_seeds_network(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    path = tmp_path / "one.json"
    assert gradlab("check", "--examples", 1, "--json", path).status == 0
    assert list(json.loads(path.read_text())["cells"]) == ["rnn"]


def test_compare_shows_every_quantity_at_every_step(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    said = gradlab("compare", "--bits", 3, "--hidden", 2, "--batch", 2, "--seed", 1, "--json", tmp_path / "out.json")
    assert (said.status, said.err) == (0, "") and "T=3  B=2  I=2  H=2  O=1" in said.out
    assert all(label.removeprefix("rnn.") in said.out for label in LABELS)
    found = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert found["verdict"] == "agree" and np.shape(found["quantities"]["delta_hidden"]["value"]) == (3, 2, 2)


def test_what_cannot_be_told_exits_3(gradlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "names", list)
    said = gradlab("check", "--cell", "rnn", "--examples", 1)
    assert (said.status, said.err) == (3, "")
    assert said.out.splitlines()[-1].startswith("cannot tell")
    assert gradlab("compare").status == 3


# id: (arguments, what is said)
USAGE = {
    "unknown command": (["chek"], "No such command 'chek'"),
    "unknown option": (["check", "--exampels", "3"], "No such option: --exampels"),
    "unknown cell": (["check", "--cell", "elman"], "no cell is called 'elman'; there are "),
    "unknown cell of compare": (["compare", "--cell", "elman"], "no cell is called 'elman'; there are "),
    "no examples": (["check", "--examples", "0"], "'--examples'"),
    "examples that are no number": (["check", "--examples", "many"], "'--examples'"),
    "negative seed": (["check", "--seed", "-1"], "'--seed'"),
    "no time": (["check", "--seconds", "0"], "'--seconds'"),
    "no bits": (["compare", "--bits", "0"], "'--bits'"),
    "too many bits": (["compare", "--bits", "63"], "'--bits'"),
    "no hidden units": (["compare", "--hidden", "0"], "'--hidden'"),
    "weights that are not there": (["compare", "--weights", "gone.npz"], "gone.npz"),
    "two files": (["check", "one.py", "two.py"], "two.py"),
}


@pytest.mark.parametrize("name", USAGE)
def test_bad_usage_is_said_in_one_line(name: str, gradlab: Callable[..., Said]) -> None:
    arguments, wanted = USAGE[name]
    assert wanted in one_line(gradlab(*arguments))


def test_one_file_is_not_all_cells(
    gradlab: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(CELLS, "another", "gradlab.manual.rnn")
    (tmp_path / "mine.py").write_text(SOURCE, encoding="utf-8")
    assert "one file holds one cell" in one_line(gradlab("check", tmp_path / "mine.py", "--cell", "all"))


def test_without_a_command_the_help_is_shown(gradlab: Callable[..., Said]) -> None:
    said = gradlab()
    assert "\n  check " in said.out + said.err


@pytest.mark.parametrize("command", ["check", "compare"])
@pytest.mark.parametrize("place", ["a folder", "in a folder that is not there", "in a file", "in a read-only folder"])
def test_a_place_that_cannot_be_written_is_refused_before_any_work(
    place: str, command: str, gradlab: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    out = {
        "a folder": tmp_path,
        "in a folder that is not there": tmp_path / "gone" / "out.json",
        "in a file": tmp_path / "file" / "out.json",
        "in a read-only folder": tmp_path / "out.json",
    }[place]
    if place == "in a read-only folder":  # root, as whom the tests may run, is refused nothing
        monkeypatch.setattr(os, "access", lambda path, mode: False)

    def work(*args: Any, **kwargs: Any) -> None:
        pytest.fail("work was done")

    monkeypatch.setattr(f"gradlab.checker.check.{command}", work)
    assert one_line(gradlab(command, "--json", out)).startswith(f"{out}: ")


def test_a_refused_file_leaves_the_old_json(gradlab: Callable[..., Said], tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    out.write_text("old")
    one_line(gradlab("check", tmp_path / "gone.py", "--json", out))
    assert out.read_text() == "old" and [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_an_interrupted_check_prints_and_writes_what_it_has(
    gradlab: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextlib.contextmanager
    def ctrl_c(what: str) -> Iterator[Any]:
        def called(name: str, done: int, total: int) -> None:
            if done == 3:
                raise KeyboardInterrupt

        yield called

    monkeypatch.setattr(cli, "_progress", ctrl_c)
    out = tmp_path / "out.json"
    said = gradlab("check", "--cell", "rnn", "--examples", 50, "--json", out)
    assert said.status == 3 and "3 problems" in said.out and "interrupted" in said.out
    assert json.loads(out.read_text())["interrupted"] is True


def test_an_interrupt_elsewhere_is_said(gradlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gradlab.checker.check.compare", interrupted)
    assert gradlab("compare") == Said(130, "", "gradlab: interrupted\n")


def test_a_defect_of_gradlab_keeps_its_traceback(gradlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*args: Any, **kwargs: Any) -> None:
        raise AttributeError("of ours")

    monkeypatch.setattr("gradlab.checker.check.compare", defect)
    with pytest.raises(AttributeError, match="of ours"):
        gradlab("compare")


def test_a_defect_that_is_a_key_error_keeps_its_traceback_too(
    gradlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    def defect(*args: Any, **kwargs: Any) -> None:
        raise KeyError("y_hat")

    monkeypatch.setattr("gradlab.oracles.certified.evidence", defect)
    with pytest.raises(KeyError, match="y_hat"):
        gradlab("compare")


def process(*arguments: Any, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [GRADLAB, *map(str, arguments)],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        timeout=HANG,
        env=os.environ | {"COLUMNS": "100", "TERM": "dumb"} | environment,
    )


def test_the_console_script_on_a_wrong_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(edit((RECURSION, "0 * slope[t]")), encoding="utf-8")
    done = process("check", path, "--examples", 2)
    assert (done.returncode, done.stderr) == (1, ""), done.stderr
    assert "rnn.delta_implicit is first wrong at t = 0 of 0..1" in done.stdout


def test_the_console_script_on_a_file_that_never_ends(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(in_bptt("while True: pass"), encoding="utf-8")
    done = process("check", path, "--seconds", 0.3)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"gradlab: {path}: bptt did not end within 0.3 s\n"


def test_the_console_script_s_help() -> None:
    done = process("--help")
    assert done.returncode == 0 and done.stderr == ""
    assert all(re.search(rf"^  {command} ", done.stdout, re.MULTILINE) for command in ("check", "compare"))


def test_a_terminal_that_knows_ascii_only(gradlab: Callable[..., Said], monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", terminal)
    assert gradlab("check", "--cell", "rnn", "--examples", 1).status == 0
