"""Files that attack what grades them: each is contained, none that is wrong passes, nothing of it is left."""

import os
import re
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from gradlab.cells import cell
from gradlab.checker.check import _compare
from gradlab.checker.watch import SubmissionError
from gradlab.classroom.confine import SECCOMP
from gradlab.classroom.isolated import IsolatedSubmission
from gradlab.classroom.limits import Limits
from gradlab.mistakes.probes import short
from gradlab.problem import Problem

Submit = Callable[[str], Path]

CELL = cell("rnn")
# What a file does in time is never a matter of how busy the machine is; what has no end is stopped soon.
PATIENT = Limits(seconds=600.0)
SOON = Limits(seconds=0.3, grace=600.0)
DEAF = Limits(seconds=0.3, grace=1.1)  # to its own alarm: only the one that waits for its answer stops it
DOUBLED = ("= (y_hat - y) * y_hat", "= 2 * (y_hat - y) * y_hat")

# What a file that is wrong (delta_output is doubled) does so that it might pass.
FAKES = {
    "numpy is patched": "np.ndarray = object; np.asarray = lambda *a, **k: 0; np.abs = np.isfinite = lambda *a: True",
    "verdicts are patched": """
        import gradlab.checker.verdict as verdict, gradlab.checker.check as check
        verdict.Judged.tally = verdict.judge = check._compare = check.check = lambda *a, **k: None
    """,
    "balls always overlap": """
        import gradlab.arithmetic.ball as ball, gradlab.checker.verdict as verdict
        ball.overlaps = verdict.overlaps = lambda a, b: np.ones(np.shape(a), bool)
    """,
    "gradlab's own reading is patched": """
        import gradlab.cells as cells, gradlab.equations as equations
        cells.run = cells.axes = equations.equations = None
    """,
    "bounds without limit, and balls that hold everything": """
        import gradlab.checker.submission as submission
        from flint import arb
        wrong = bptt
        submission.Submission.rounding = lambda s, p: {n: np.full(v.shape, np.inf) for n, v in s.floats(p).items()}
        def bptt(params, x, y, state, trace):
            grads = wrong(params, x, y, state, trace)
            if x.dtype != object or not hasattr(x.flat[0], "arb"):
                return grads
            wide = np.frompyfunc(lambda b: type(b)(arb(0, 10)), 1, 1)
            deltas = grads.deltas._replace(output=wide(grads.deltas.output))
            return grads._replace(deltas=deltas)
    """,
    "right on balls alone, and bounds without limit": """
        import gradlab.checker.submission as submission
        import gradlab.manual.rnn as right
        wrong = bptt
        submission.Submission.rounding = lambda s, p: {n: np.full(v.shape, np.inf) for n, v in s.floats(p).items()}
        def bptt(params, x, *rest):
            return (right.bptt if x.dtype == object else wrong)(params, x, *rest)
    """,
    "nan in float, right on balls": """
        import gradlab.checker.submission as submission
        import gradlab.manual.rnn as right
        submission.Submission.rounding = lambda s, p: {n: np.full(v.shape, np.inf) for n, v in s.floats(p).items()}
        def bptt(params, x, *rest):
            grads = right.bptt(params, x, *rest)
            return grads if x.dtype == object else grads._replace(x=grads.x * np.nan)
    """,
    "an evil array": """
        wrong = bptt
        class Evil:
            def __array__(self, *a, **k): return np.zeros((2, 3, 6))
            def __reduce__(self): return (print, ("owned",))
        def bptt(*a):
            grads = wrong(*a)
            return grads._replace(deltas=grads.deltas._replace(output=Evil()))
    """,
}

# Where a fake does not even get as far as a verdict.
SPOILED = {
    "numpy is patched": "what it returns cannot be read: ",
    "nan in float, right on balls": "^disagree rnn.grad_x$",
    "an evil array": "rnn.delta_output is no array of numbers",
}

EVERYWHERE = """
    import os
    def write(data):
        for descriptor in range(3, 256):
            try: os.write(descriptor, data)
            except OSError: pass
"""
INSIDE = """
    right = forward
    def forward(*args):
        {}
        return right(*args)
"""


def inside(code: str, before: str = "") -> str:
    """Code that runs in the first call of forward."""
    return textwrap.dedent(before) + textwrap.dedent(INSIDE).replace("{}", code)


# What a file does, and the one line that is said of it; None where it is right all the same.
ATTACKS: dict[str, tuple[str, str | None]] = {
    "sys.exit at import": ("raise SystemExit(0)", "importing it raises SystemExit"),
    "sys.exit in a call": (inside("import sys; sys.exit(0)"), "forward raises SystemExit"),
    "os._exit at import": ("import os; os._exit(0)", r"its process ended \(exit status 0\)"),
    "os._exit in a call": (inside("import os; os._exit(3)"), r"its process ended \(exit status 3\)"),
    "atexit": ("import atexit, os; atexit.register(os._exit, 0)", None),
    "sys.exit is patched": ("import sys; sys.exit = exit = quit = lambda *a: None", None),
    "a crash": (inside("import ctypes; ctypes.string_at(0)"), r"its process ended \(SIGSEGV\)"),
    "garbage on every descriptor": (inside("write(b'x' * 4096)", EVERYWHERE), "gradlab's channel"),
    "a forged answer": (inside("write(b'A' + (8).to_bytes(8, 'big') + bytes(8))", EVERYWHERE), "gradlab's channel"),
    "a forged answer at import": (EVERYWHERE + "    write(b'L' + bytes(8))", "gradlab's channel"),
    "an answer of 2**63 bytes": (inside("write(b'A' + (2**63).to_bytes(8, 'big'))", EVERYWHERE), "gradlab's channel"),
    "half an answer": (inside("write(b'A'); import time; time.sleep(9)", EVERYWHERE), "."),
    "the channel is closed": (inside("import os; os.closerange(3, 99)"), "."),
    "it sleeps": (inside("import time; time.sleep(60)"), "forward did not end within 0.3 s"),
    "it sleeps, deaf": (
        inside("import signal, time; signal.alarm(0); signal.setitimer(signal.ITIMER_REAL, 0); time.sleep(60)"),
        "no answer within 2 s",
    ),
    "an endless loop": (inside("while True: pass"), "forward did not end within 0.3 s"),
    "an endless loop at import": ("while True: pass", "importing it did not end within 0.3 s"),
    "100 GB": (inside("np.ones(100 * 2**27)"), "forward raises .*MemoryError"),
    "100 GB at import": ("held = bytearray(100 * 2**30)", "importing it raises MemoryError"),
    "print": (inside("print('agree')"), "forward prints to standard output"),
    "stdout is filled": (inside("import os; [os.write(1, bytes(2**20)) for _ in range(64)]"), None),
    "stdin is read": (inside("import os; assert os.read(0, 1) == b''"), None),
    "a BaseException": (
        inside("raise Own('bad')", "class Own(BaseException): pass"),
        r"mine\.py:\d+: forward raises Own: bad",
    ),
    "deep recursion": (inside("forward(*args)"), "forward raises RecursionError"),
    "huge arrays": (inside("return right(*args)._replace(y_hat=np.zeros((9999, 999)))"), "."),
    "an array that is one in name only": (
        inside("return right(*args)._replace(a_hidden=np.broadcast_to(np.float64(0), (2**20, 2**20)))"),
        "what it returns cannot be read: MemoryError|_ArrayMemoryError",
    ),
    "float32": (
        inside("return type(t := right(*args))(*(a.astype('f4') for a in t))"),
        "net_hidden came back as float32 from float64 inputs",
    ),
    "a message of a megabyte": (inside("raise ValueError('agree\\n' * 2**17)"), "forward raises ValueError: agree"),
    "an exception that cannot be printed": (
        inside("raise Mute", "class Mute(Exception):\n    def __str__(self): raise ValueError"),
        r"mine\.py:\d+: forward raises Mute",
    ),
    "an exception that ends the process": (
        inside("raise Last", "class Last(Exception):\n    def __str__(self): raise SystemExit(0)"),
        r"its process ended \(exit status 0\)",
    ),
    "a Ctrl-C of its own": (inside("raise KeyboardInterrupt"), "its process ended"),
    "the timer's own exception": (
        inside("from gradlab.checker.watch import _TimeUp; raise _TimeUp"),
        "forward did not end within 0.3 s",
    ),
    "time stands still": (inside("import time; time.monotonic = time.time = time.perf_counter = lambda: 0"), None),
    "every object is of every type": ("import builtins; builtins.isinstance = lambda *a: True", "."),
    "json writes what it likes": ("import json, pickle; json.dumps = pickle.dumps = lambda *a, **k: 'agree'", None),
    "nothing is packed": ("import gradlab.classroom.wire as w; w.pack_arrays = lambda *a: b''", "0 bytes of arrays"),
    "gradlab is gone": (
        "import sys; sys.modules.update({m: None for m in list(sys.modules) if m.startswith('gradlab')})",
        "what it returns cannot be read",
    ),
    "an array that lies about itself": (
        inside(
            "t = right(*args); return t._replace(y_hat=t.y_hat.view(Liar))",
            "class Liar(np.ndarray):\n    __class__ = np.ndarray\n    def __eq__(self, other): return True\n"
            "    def tobytes(self, *a): return b''\n    def __array_function__(self, *a): return 0\n",
        ),
        ".",
    ),
    "control characters in a message": (inside("raise ValueError('\\x1b[2J\\x07')"), "forward raises ValueError"),
}

# Of these, what ends only when it is stopped.
ENDLESS = dict.fromkeys(
    ["half an answer", "it sleeps", "an endless loop", "an endless loop at import", "the timer's own exception"], SOON
) | {"it sleeps, deaf": DEAF}

# What a file does to others: it may end in a refusal or not, but nothing comes of it.
OUTSIDE = {
    "a child that stays": "import os, time\nif os.fork() == 0: time.sleep(60)",
    "a daemon": """
        import os, time
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                os.closerange(0, 99)
                time.sleep(60)
            os._exit(0)
    """,
    "a fork bomb of 64": "import os, time\nfor _ in range(6): os.fork()\ntime.sleep(60)",
    "another program": "import subprocess\nsubprocess.Popen(['sleep', '61'], start_new_session=True)",
    "its folder is deleted": "import os, shutil\nshutil.rmtree(os.getcwd())",
}


def judged(path: Path, limits: Limits, problem: Problem | None = None) -> str:
    """The verdict on one problem, with the first wrong equation, or the line that is said of a file."""
    try:
        with IsolatedSubmission(CELL, path, limits) as submission:
            comparison = _compare(submission, problem or short(CELL, 2), ["certified"])
    except SubmissionError as error:
        return str(error)
    return f"{comparison.verdict} {comparison.label or ''}".strip()


@pytest.fixture(autouse=True)
def unharmed() -> object:
    """This process's environment, folder and descriptors are what they were."""

    def state() -> object:
        kept = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
        return kept, Path.cwd(), len(list(Path("/proc/self/fd").iterdir()))

    before = state()
    yield
    assert state() == before


def test_the_shipped_file_agrees(submit: Submit, source: str) -> None:
    assert judged(submit(source), PATIENT) == "agree"
    assert judged(submit(source), replace(PATIENT, confine=False)) == "agree"


def with_right(code: str, source: str) -> str:
    """The shipped file is out of reach there, so a fake that needs it brings it along."""
    right = f"import types; right = types.ModuleType('right'); exec({source!r}, vars(right))"
    return textwrap.dedent(code).replace("import gradlab.manual.rnn as right", right)


@pytest.mark.parametrize("name", FAKES)
def test_a_wrong_file_does_not_pass(name: str, submit: Submit, source: str) -> None:
    said = judged(submit(source.replace(*DOUBLED) + with_right(FAKES[name], source)), PATIENT)
    assert re.search(SPOILED.get(name, "^disagree rnn.delta_output$"), said)


@pytest.mark.parametrize("name", ["verdicts are patched", "balls always overlap", "gradlab's own reading is patched"])
def test_a_right_file_that_patches_others_is_judged_by_its_numbers(name: str, submit: Submit, source: str) -> None:
    assert judged(submit(source + textwrap.dedent(FAKES[name])), PATIENT) == "agree"


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_contained(name: str, submit: Submit, source: str) -> None:
    code, line = ATTACKS[name]
    path = submit(source + "\n" + textwrap.dedent(code))
    said = judged(path, ENDLESS.get(name, PATIENT))
    if line is None:
        assert said == "agree" or "gradlab's channel" in said
    else:
        assert said.startswith(str(path))
        assert re.search(line, said)
        assert said.isprintable()
        assert len(said) < 600


@pytest.mark.parametrize("limits", [SOON, replace(SOON, confine=False)], ids=["confined", "unconfined"])
@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_is_left_behind(name: str, limits: Limits, submit: Submit, source: str) -> None:
    judged(submit(source + "\n" + textwrap.dedent(OUTSIDE[name])), limits)  # the fixture looks for processes


def test_no_secret_is_inherited(submit: Submit, source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_SECRET", "hunter2")
    code = "import os; raise ValueError(sorted(os.environ) + [v for v in os.environ.values() if 'hunter2' in v])"
    said = judged(submit(source + inside(code)), PATIENT)
    assert "hunter2" not in said
    assert re.findall("'(.*?)'", said) == sorted([
        "GRADLAB_SANDBOX", "HOME", "LANG", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS",
        "PYTHONHASHSEED", "TMPDIR",
    ])  # fmt: skip


@pytest.mark.parametrize(
    "code",
    [
        pytest.param("open({outside!r}, 'w').write('owned')", id="a new file"),
        pytest.param("open({victim!r}, 'w')", id="a file emptied"),
        pytest.param("import os; os.truncate({victim!r}, 0)", id="a file truncated"),
        pytest.param("import os; os.unlink({victim!r})", id="a file removed"),
        pytest.param("import os; os.rename({victim!r}, {outside!r})", id="a file renamed"),
        pytest.param("import os; os.mkdir({outside!r})", id="a folder"),
        pytest.param("import os; os.symlink({victim!r}, {outside!r})", id="a link"),
        pytest.param("import os; os.chmod({victim!r}, 0)", id="permissions"),
        pytest.param("import os; os.open({outside!r}, os.O_CREAT)", id="created, not written"),
        pytest.param("import os; os.kill({pid}, 9)", id="its parent killed"),
        pytest.param("import fcntl; fcntl.fcntl(0, fcntl.F_SETOWN, {pid})", id="the kernel told to signal it"),
        pytest.param("import fcntl; fcntl.fcntl(0, 10, 9)", id="the kernel told which signal"),
        pytest.param("import fcntl; fcntl.ioctl(0, 0x8901, bytes(4))", id="the same by ioctl"),
        pytest.param("import resource; resource.prlimit({pid}, 0, (0, 0))", id="its parent starved"),
        pytest.param("import socket; socket.socket()", id="the network"),
        pytest.param("import os; os.execv('/bin/true', ['true'])", id="another program"),
        pytest.param("open({victim!r}).read()", id="somebody's file read"),
        pytest.param("open('/proc/{pid}/environ').read()", id="its parent's environment read"),
    ],
)
def test_what_is_forbidden_raises(code: str, submit: Submit, source: str, tmp_path: Path) -> None:
    victim, outside = tmp_path / "victim.txt", tmp_path / "outside.txt"
    victim.write_text("whole")
    mode = victim.stat().st_mode
    path = submit(
        source + "\nimport os" + inside(code.format(victim=str(victim), outside=str(outside), pid=os.getpid()))
    )
    with IsolatedSubmission(CELL, path, PATIENT) as submission:
        if SECCOMP not in submission.sandbox.confined:
            pytest.skip("this kernel cannot forbid it")
        with pytest.raises(
            SubmissionError, match=r"forward raises (PermissionError|BlockingIOError|OSError|FileNotFoundError)"
        ):
            submission.floats(short(CELL, 2))
    assert victim.read_text() == "whole"
    assert victim.stat().st_mode == mode
    assert not outside.exists()


def test_a_large_file_cannot_be_written_where_writing_is_not_forbidden(submit: Submit, source: str) -> None:
    code = "open('big', 'wb', 0).write(bytes(2**21)); raise ValueError('of', os.path.getsize('big'))"
    assert "('of', 1048576)" in judged(submit(source + "\nimport os" + inside(code)), replace(PATIENT, confine=False))


def test_its_folder_is_empty_and_its_own_and_removed(submit: Submit, source: str) -> None:
    path = submit(source + inside("import os; raise ValueError(os.getcwd(), os.access('.', os.R_OK))"))
    folder = re.search(r"'(/.*?)'", judged(path, PATIENT))
    assert folder is not None
    assert Path(folder[1]) != Path.cwd()
    assert not Path(folder[1]).exists()


def test_no_other_descriptor_is_inherited(submit: Submit, source: str, tmp_path: Path) -> None:
    code = """
        found = []
        for d in range(64):
            try: os.fstat(d); found.append(d)
            except OSError: pass
        raise ValueError(len(found))
    """
    body = textwrap.dedent(code).strip().replace("\n", "\n    ")
    with (tmp_path / "open.txt").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        said = judged(submit(source + "\nimport os" + inside(body)), PATIENT)
    assert said.endswith("ValueError: 4")  # the standard streams, which lead nowhere, and the channel


def test_all_its_calls_together_are_limited(submit: Submit, source: str) -> None:
    said = judged(submit(source + inside("import time; time.sleep(0.2)")), replace(SOON, seconds=600.0, total=0.5))
    assert "no answer within" in said
