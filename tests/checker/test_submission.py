"""Somebody's file: what is wrong with it is said in one line, and nothing of what it does gets any further."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gradlab import Verdict, compare
from gradlab.cells import Code, cell
from gradlab.checker.submission import Submission, load
from gradlab.checker.watch import SubmissionError, watched
from gradlab.manual import rnn

HANG = 600.0  # seconds: what takes so long has stopped for good, however busy the machine is
RNN = cell("rnn")
GRADIENT = Code._fields[2]
SOURCE = Path(rnn.__file__).read_text(encoding="utf-8")
GRAD_X = "multiply(delta_hidden, W_input.T)  "
RETURN = "    return Grads("


def said(function: Callable[..., Any], *args: Any) -> str:
    with pytest.raises(SubmissionError) as caught:
        function(*args)
    line = str(caught.value)
    assert line and "\n" not in line
    return line


def everything(path: Path, given: Any, seconds: float = HANG) -> None:
    """All that a comparison asks of the code under test."""
    submission = Submission(RNN, path, seconds)
    submission.floats(given)
    submission.rounding(given)
    submission.balls(given)


@pytest.fixture
def here(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "mine.py"
        path.write_bytes(content)
        return path

    return write


# id: (content, what is said after the path)
FILES = {
    "does not parse": (b"def forward(:\n", ":1:13: invalid syntax"),
    "wrong indentation": (b"def f():\nx = 1\n", ":2:1: expected an indented block"),
    "not UTF-8": (b'x = "\xe9"\n', "utf-8' codec can't decode byte 0xe9"),
    "null byte": (b"x = 1\0\n", "null bytes"),
    "UTF-16": ("x = 1\n".encode("utf-16"), "null bytes"),
    "unknown encoding": (b"# coding: klingon\n", "unknown encoding: klingon"),
    "nested too deeply": (b"x = " + b"(" * 5000 + b")" * 5000, "too many nested parentheses"),
    "endless sign": (b"x = " + b"-" * 100_000 + b"1", "not Python that can be read"),
    "empty": (b"", ": defines no function forward; wanted forward, loss, bptt"),
    "lacks bptt": (SOURCE.replace("def bptt(", "def backward(").encode(), ": defines no function bptt; wanted"),
    "loss is no function": (b"forward = bptt = print\nloss = 5\n", ": defines no function loss; wanted"),
    "import that is not there": (b"\nimport nothing_such\n", ":2: importing it raises ModuleNotFoundError: No module"),
    "raises at import": (b"x = 1\ny = x / 0\n", ":2: importing it raises ZeroDivisionError: division by zero"),
    "exits at import": (b"import sys\nsys.exit(0)\n", ":2: importing it raises SystemExit: 0"),
    "prints at import": (b"print('one')\nprint('two')\n", ": importing it prints to standard output ('one'); take"),
    "never ends at import": (b"while True: pass\n", ": importing it did not end within 0.3 s"),
}


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_cannot_be_loaded(name: str, here: Callable[[bytes], Path]) -> None:
    content, wanted = FILES[name]
    path = here(content)
    line = said(load, path, 0.3 if "within 0.3 s" in wanted else HANG)
    assert line.startswith(f"{path}:") and wanted in line


@pytest.mark.parametrize("name", ["null byte", "UTF-16"])
def test_no_line_is_said_where_none_is_known(name: str, here: Callable[[bytes], Path]) -> None:
    assert "None" not in said(load, here(FILES[name][0]))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    assert said(load, tmp_path / "gone.py") == f"{tmp_path / 'gone.py'}: no such file"


def test_a_folder(tmp_path: Path) -> None:
    assert said(load, tmp_path) == f"{tmp_path}: not a file"


def test_the_path_may_be_a_string_and_need_not_end_in_py(tmp_path: Path) -> None:
    path = tmp_path / "answer"
    path.write_text(SOURCE, encoding="utf-8")
    assert load(str(path)).origin == str(path)


def test_loading_leaves_nothing_behind(here: Callable[[bytes], Path]) -> None:
    kept = sys.dont_write_bytecode
    load(here(SOURCE.encode()))
    assert sys.dont_write_bytecode is kept
    assert [path.name for path in here(b"").parent.iterdir()] == ["mine.py"]


def test_a_file_that_is_edited_is_loaded_anew(here: Callable[[bytes], Path], problem: Any) -> None:
    first = Submission(RNN, here(SOURCE.encode())).floats(problem())
    second = Submission(RNN, here(SOURCE.replace("0.5 * np.sum", "5.0 * np.sum").encode())).floats(problem())
    assert np.array_equal(10 * first["loss"], second["loss"])


@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["float64", "float32"])
def test_the_shipped_file_passes(dtype: type, here: Callable[[bytes], Path], problem: Any) -> None:
    everything(here(SOURCE.encode()), problem().astype(dtype))
    everything(here(b"\xef\xbb\xbf" + SOURCE.encode()), problem().astype(dtype))  # with a byte-order mark


# id: (lines put first into bptt, what is said)
BPTT = {
    "raises": (["raise ValueError('no\\nidea')"], ":{line}: bptt raises ValueError: no idea"),
    "raises without words": (["raise ValueError"], ":{line}: bptt raises ValueError"),
    "raises in a helper": (["gates = rows(None)"], "mine.py:{line}: bptt raises AttributeError"),
    "exits": (["import sys", "sys.exit(0)"], "bptt raises SystemExit: 0"),
    "raises what is no Exception": (["raise BaseException('x')"], ":{line}: bptt raises BaseException: x"),
    "recursion without end": (["bptt(params, x, y, state, trace)"], ":{line}: bptt raises RecursionError"),
    "prints": (["print('delta', 1)"], ": bptt prints to standard output ('delta 1'); take the print out"),
    "prints a long line": (["print('a' * 1000)"], f": bptt prints to standard output ('{'a' * 60}'); take"),
    "writes to sys.stdout": (["import sys; sys.stdout.write('hm')"], ": bptt prints to standard output ('hm')"),
    "changes x": (["x *= 2"], ": bptt changes one of its inputs in place; copy it first"),
    "changes y": (["y[0] = 0.125"], ": bptt changes one of its inputs in place"),
    "changes a weight": (["params.W_output[0] += 1"], ": bptt changes one of its inputs in place"),
    "changes the state": (["state.a_initial[:] = 0"], ": bptt changes one of its inputs in place"),
    "changes the trace": (["trace.a_hidden[0] = 0"], ": bptt changes one of its inputs in place"),
    "never returns": (["while True: pass"], ": bptt did not end within 0.3 s"),
    "swallows exceptions without end": (
        ["while True:", "    try:", "        raise ValueError", "    except Exception: pass"],
        ": bptt did not end within 0.3 s",
    ),
    "waits without end": (["import time; time.sleep(3600)"], ": bptt did not end within 0.3 s"),
}


@pytest.mark.parametrize("name", BPTT)
def test_a_function_that_misbehaves(name: str, inserted: Callable[..., Path], problem: Any) -> None:
    lines, wanted = BPTT[name]
    path = inserted(*lines)
    number = path.read_text(encoding="utf-8").splitlines().index(f"    {lines[0]}") + 1
    assert wanted.format(line=number) in said(everything, path, problem(), 0.3 if "within 0.3 s" in wanted else HANG)


# id: (text in the shipped file, text in its place, what is said)
RETURNED = {
    "transposed gradient": (
        "Params(grad_W_input,",
        "Params(grad_W_input.T,",
        "rnn.grad_W_input has shape (2, 3), wanted (I, H) = (3, 2)",
    ),
    "batch axis lost": (
        RETURN,
        "    grad_x = grad_x[:, 0]\n" + RETURN,
        "rnn.grad_x has shape (4, 3), wanted (T, B, I) = (4, 2, 3)",
    ),
    "scalar loss": ("axis=(-2, -1))  ", ")  ", "rnn.loss has shape (), wanted (T) = (4,)"),
    "batch-first states": (
        "return Trace(net_hidden, a_hidden,",
        "return Trace(net_hidden, a_hidden.swapaxes(0, 1),",
        "bptt raises ValueError",
    ),
    "nothing": (
        "    return Trace(net_hidden, a_hidden, net_output, y_hat)",
        "    return None",
        "what forward returns has no field y_hat",
    ),
    "no loss": (
        "    return Loss(per_step, np.sum(per_step, axis=0))",
        "    return per_step",
        "what loss returns has no field per_step",
    ),
    "a plain tuple": ("return Grads(", "return (", "what bptt returns has no field params"),
    "a gradient less": (
        "Params(grad_W_input, grad_W_hidden, grad_W_output)",
        "(grad_W_input, grad_W_hidden, grad_W_output)",
        "what bptt returns has no field params.W_input",
    ),
    "no deltas": (
        "Deltas(delta_output, delta_explicit, delta_implicit, delta_hidden)",
        "None",
        "what bptt returns has no field deltas.output",
    ),
    "stores into float32": (
        "np.empty_like(net_input, dtype)",
        "np.empty_like(net_input, np.float32)",
        "rnn.net_hidden came back as float32 from float64 inputs",
    ),
    "returns float32": (
        "Params(grad_W_input,",
        "Params(grad_W_input.astype(np.float32),",
        "rnn.grad_W_input came back as float32 from float64",
    ),
    "returns integers": (
        RETURN,
        "    grad_x = np.zeros(grad_x.shape, int)\n" + RETURN,
        "rnn.grad_x came back as int64 from float64",
    ),
    "returns complex": (
        RETURN,
        "    grad_x = grad_x * 1j\n" + RETURN,
        "rnn.grad_x came back as complex128 from float64",
    ),
    "returns strings": (
        RETURN,
        "    grad_x = np.full(grad_x.shape, 'a')\n" + RETURN,
        "rnn.grad_x came back as <U1 from float64",
    ),
    "returns objects": (
        RETURN,
        "    grad_x = np.array([[[None] * 3] * 2] * 4)\n" + RETURN,
        "rnn.grad_x came back as object from float64",
    ),
    "draws at random": (
        "np.sum((y_hat - y) ** 2, axis=(-2, -1))",
        "np.sum((y_hat - y) ** 2, axis=(-2, -1)) + np.random.default_rng().uniform()",
        "what was recorded is not that code, so nothing can be certified",
    ),
    "asks what no program holds": (
        "multiply(delta_hidden, W_input.T)  ",
        "np.fft.ifft(np.fft.fft(multiply(delta_hidden, W_input.T))).real  ",
        "bptt cannot be certified: ",
    ),
    "is steered by a tie": (
        RETURN,
        "    if delta_hidden[T - 1].sum() - delta_explicit[T - 1].sum() > 0: grad_x = 2 * grad_x\n" + RETURN,
        ": a comparison is a tie, so nothing can be certified",
    ),
}


@pytest.mark.parametrize("name", RETURNED)
def test_a_function_that_returns_something_else(name: str, edited: Callable[..., Path], problem: Any) -> None:
    old, new, wanted = RETURNED[name]
    path = edited((old, new))
    line = said(everything, path, problem(4, 2, 3, 2, 2))
    assert line.startswith(str(path)) and wanted in line


BUFFERS = {
    "the recursion's": ("np.zeros(slope.shape, slope.dtype)", "np.zeros(slope.shape)"),
    "a gradient's": (RETURN, "    grad_x, held = np.zeros(grad_x.shape), grad_x\n    grad_x[:] = held\n" + RETURN),
}


@pytest.mark.parametrize("which", BUFFERS)
def test_a_buffer_without_dtype_holds_the_numbers_of_every_arithmetic(
    which: str, edited: Callable[..., Path], problem: Any
) -> None:
    path, given = edited(BUFFERS[which]), problem(4, 2, 3, 2, 2)
    comparison = compare("rnn", given, code=path)
    assert comparison.verdict is Verdict.AGREE
    assert all(one["certified"].agree.any() for name, one in comparison.judged.items() if name != "delta_implicit")
    line = said(everything, path, given.astype(np.float32))
    assert "came back as float64 from float32 inputs: allocate with the inputs' dtype" in line


def test_lists_of_different_lengths(edited: Callable[..., Path], problem: Any) -> None:
    path = edited((RETURN, "    grad_x = [[1.0], [1.0, 2.0]]\n" + RETURN))
    with pytest.raises((SubmissionError, ValueError)) as caught:
        everything(path, problem())
    assert str(path) in str(caught.value) and "rnn.grad_x" in str(caught.value)


def test_entries_that_are_used_and_never_assigned(edited: Callable[..., Path], problem: Any) -> None:
    path = edited(("delta_hidden = np.zeros(", "delta_hidden = np.empty("), ("    delta_hidden[T] = after", ""))
    assert "never assigned" in said(everything, path, problem())


@pytest.fixture
def gap(edited: Callable[..., Path]) -> Path:
    """delta_implicit is allocated, and from step 2 on never assigned."""
    return edited(
        ("delta_implicit = np.zeros(", "delta_implicit = np.empty("),
        ("delta_hidden[t] = delta_explicit[t] + delta_implicit[t]", "delta_hidden[t] = delta_explicit[t] + t"),
        ("        delta_implicit[t] = ", "        if t < 2: delta_implicit[t] = "),
    )


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_entries_that_are_returned_and_never_assigned_are_not_numbers(gap: Path, problem: Any) -> None:
    found = Submission(RNN, gap).rounding(problem())["delta_implicit"]
    assert np.isinf(found[2]).all() and np.isfinite(found[:2]).all()


def test_entries_that_were_never_assigned_cause_no_warning(gap: Path, problem: Any) -> None:
    Submission(RNN, gap).rounding(problem())


def test_a_record_may_be_anything_with_the_fields(edited: Callable[..., Path], problem: Any) -> None:
    path = edited(
        (
            "class Loss(NamedTuple):",
            "class Loss:\n    def __init__(self, *both): self.per_step, self.total = both\n\nclass Unused(NamedTuple):",
        )
    )
    everything(path, problem())


def test_what_is_given_is_fresh_for_every_run(problem: Any) -> None:
    """Even a function that gets away with a change does not spoil the problem for the next."""
    given = problem()
    before = given.x.copy()
    code = RNN.code._replace(**{GRADIENT: lambda params, x, y, state, trace: x.__imul__(2)})
    with pytest.raises(SubmissionError, match="changes one of its inputs in place"):
        Submission(RNN, code).floats(given)
    assert np.array_equal(given.x, before)


def test_what_an_interrupt_stops_is_not_the_file_s_fault(problem: Any) -> None:
    def bptt(*args: Any) -> Any:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Submission(RNN, RNN.code._replace(**{GRADIENT: bptt})).floats(problem())


def test_a_generator_exit_is_the_file_s_fault(problem: Any) -> None:
    def bptt(*args: Any) -> Any:
        raise GeneratorExit

    with contextlib.suppress(GeneratorExit):
        said(Submission(RNN, RNN.code._replace(**{GRADIENT: bptt})).floats, problem())
        return
    pytest.fail("GeneratorExit came through")


def test_the_alarm_is_put_back(problem: Any) -> None:
    before = signal.getsignal(signal.SIGALRM)
    assert watched("here", "f", 5.0, lambda: 7) == 7
    with pytest.raises(SubmissionError, match=r"here: f did not end within 0\.05 s"):
        watched("here", "f", 0.05, lambda: [None for _ in iter(int, 1)])
    assert signal.getsignal(signal.SIGALRM) is before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_warnings_and_floating_point_errors_of_the_file_are_its_own() -> None:
    def noisy() -> Any:
        import warnings

        warnings.warn("old", DeprecationWarning, stacklevel=1)
        return np.exp(np.array([1e5])) / np.zeros(1)

    assert np.isinf(watched("here", "f", 5.0, noisy)).all()


def test_outside_the_main_thread_there_is_no_limit_and_no_crash() -> None:
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.append(watched("here", "f", 0.01, lambda: sum(range(1000)))))
    thread.start()
    thread.join()
    assert got == [499500]
