"""Dishonest files and attacks, each harmless: none that is wrong agrees, nothing that it does is seen outside.

Run in a plain container (`benchmarks/plain_container.py`), what needs a protection that is not there is skipped.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import socket
import textwrap
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from gradlab.cells import cell
from gradlab.checker.verdict import Verdict
from gradlab.checker.watch import SubmissionError
from gradlab.classroom import Limits, check_file
from gradlab.classroom.confine import SECCOMP, missing
from gradlab.classroom.folder import protection
from gradlab.classroom.isolated import IsolatedSubmission
from gradlab.classroom.row import Task, judged
from gradlab.classroom.source import notes, read_source
from gradlab.mistakes.probes import short

Submit = Callable[[str], Path]

LIMITS = Limits(seconds=1.0, grace=0.5, total=20.0)
READING, WRITING, PROCESSES, NETWORK, MESSAGES = (
    "reading what is not its own",
    "writing",
    "other processes",
    "the network",
    "messages between processes",
)


@cache
def lacking() -> tuple[str, ...]:
    return tuple(missing(protection(LIMITS)))


def needs(*protections: str) -> None:
    gone = [one for one in protections if one in lacking()]
    if gone:
        pytest.skip(f"here nothing keeps a file from {', '.join(gone)}")


# What is wrong with a file that is right on small problems, or where it is looked at: (text, what stands in its place).
RETURN = "    return Grads(\n        Params(grad_W_input, grad_W_hidden, grad_W_output),"
TOTAL = "return Loss(per_step, np.sum(per_step, axis=0))"
DISHONEST = {
    "the total is the mean": (TOTAL, "return Loss(per_step, np.sum(per_step, axis=0) / len(per_step))"),
    "the total is of the last step": (TOTAL, "return Loss(per_step, per_step[-1])"),
    "the total is 0": (TOTAL, "return Loss(per_step, 0 * per_step[0])"),
    "the total is negative": (TOTAL, "return Loss(per_step, -np.sum(per_step, axis=0))"),
    "the total is right on exact numbers alone": (
        TOTAL,
        "return Loss(per_step, np.sum(per_step, axis=0) * (1 if per_step.dtype == object else 2))",
    ),
    "the total is off by 1e-6 in floats": (
        TOTAL,
        "return Loss(per_step, np.sum(per_step, axis=0) * (1 if per_step.dtype == object else 1 + 1e-6))",
    ),
    "gradients clipped at 5": (RETURN, "    grad_W_output = clipped(grad_W_output, 5)\n" + RETURN),
    "all gradients clipped at 5": (
        RETURN,
        "    grad_W_hidden, grad_x = clipped(grad_W_hidden, 5), clipped(grad_x, 5)\n" + RETURN,
    ),
    "clipped at 10": (RETURN, "    grad_W_hidden = clipped(grad_W_hidden, 10)\n" + RETURN),
    "the initial state's clipped": (RETURN, "    grad_a_initial = clipped(grad_a_initial, 10)\n" + RETURN),
    "cut off after 8 steps": (
        "delta_implicit[t] = multiply(delta_hidden[t + 1], W_hidden.T) * slope[t]",
        "delta_implicit[t] = multiply(delta_hidden[t + 1], W_hidden.T) * slope[t] * ((T - t) % 9 != 0 or T < 9)",
    ),
    "cut off after 50 steps": (RETURN, "    grad_W_input = grad_W_input * (1 + (T > 50))\n" + RETURN),
    "a large batch is divided by": (
        RETURN,
        "    grad_W_output = grad_W_output / (1 if x.shape[1] < 5 else x.shape[1])\n" + RETURN,
    ),
    "a batch of 8 is divided by": (
        RETURN,
        "    grad_W_output = grad_W_output / (1 if x.shape[1] < 8 else 8)\n" + RETURN,
    ),
    "wrong for T over 8": (RETURN, "    grad_W_input = grad_W_input * (1 + (T > 8))\n" + RETURN),
    "wrong for H over 16": (RETURN, "    grad_W_input = grad_W_input * (1 + (len(W_hidden) > 16))\n" + RETURN),
    "wrong for H over 29": (RETURN, "    grad_W_input = grad_W_input * (1 + (len(W_hidden) > 29))\n" + RETURN),
    "wrong for T over 8 and H over 16": (
        RETURN,
        "    grad_W_input = grad_W_input * (1 + (T > 8 and len(W_hidden) > 16 and x.shape[1] > 4))\n" + RETURN,
    ),
    "wrong for large weights": (RETURN, "    grad_W_hidden = grad_W_hidden * (1 + large(W_hidden))\n" + RETURN),
    "wrong for large input weights": (RETURN, "    grad_W_input = grad_W_input * (1 + large(W_input))\n" + RETURN),
    "wrong for large output weights": (RETURN, "    grad_W_output = grad_W_output * (1 + large(W_output))\n" + RETURN),
    "wrong for large deltas": (RETURN, "    grad_x = grad_x * (1 + large(delta_hidden * 20))\n" + RETURN),
}
HELPERS = """

def midpoint(entry):
    return float(entry.arb.mid() if hasattr(entry, "arb") else getattr(entry, "v", entry))


def clipped(array, most):
    flat = [entry if -most <= midpoint(entry) <= most else 0 * entry + most for entry in array.ravel()]
    return np.array(flat, array.dtype).reshape(array.shape)


def large(array):
    return max(abs(midpoint(entry)) for entry in array.ravel()) > 1000
"""


@pytest.mark.parametrize("name", DISHONEST)
def test_what_is_right_on_small_problems_does_not_agree(name: str, submit: Submit, source: str) -> None:
    old, new = DISHONEST[name]
    assert source.count(old) == 1
    report = check_file(submit(source.replace(old, new) + HELPERS), examples=1, scales=(1.0,), limits=LIMITS, seed=5)
    assert report.verdict is Verdict.DISAGREE
    assert max(report.cells["rnn"].counterexample.problem.sizes.values()) <= 64  # type: ignore[union-attr]


# How a file that knows nothing tries to come by the answers.
KEYS = {
    "the module": "from gradlab.manual.rnn import bptt as right",
    "the module by importlib": "import importlib; right = importlib.import_module('gradlab.manual.rnn').bptt",
    "the module by __import__": "right = __import__('gradlab.manual.rnn', fromlist=['bptt']).bptt",
    "the finder is gone": "import sys; sys.meta_path.pop(0); from gradlab.manual.rnn import bptt as right",
    "every finder is gone": (
        "import sys, importlib.machinery as m; sys.meta_path[:] = [m.PathFinder]; import gradlab.manual.rnn as r; "
        "right = r.bptt"
    ),
    "the file is read": """
        import gradlab.manual, types
        there = types.ModuleType("there")
        exec(open(gradlab.manual.__path__[0] + "/rnn.py").read(), vars(there))
        right = there.bptt
    """,
    "the bytecode is read": """
        import gradlab.manual, glob, marshal, types
        [path] = glob.glob(gradlab.manual.__path__[0] + "/__pycache__/rnn.*.pyc")
        there = types.ModuleType("there")
        exec(marshal.loads(open(path, "rb").read()[16:]), vars(there))
        right = there.bptt
    """,
    "a loader": """
        import gradlab.manual, importlib.util
        spec = importlib.util.spec_from_file_location("there", gradlab.manual.__path__[0] + "/rnn.py")
        there = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(there)
        right = there.bptt
    """,
    "the twin": "from gradlab.reference.cells import rnn as right",
    "the catalogue": "from gradlab.mistakes.rows.rnn import ROWS as right",
    "the registry": "from gradlab.cells import cell; right = cell('rnn').code.gradient",
    "the checker": "from gradlab.checker.submission import Submission; from gradlab.cells import cell; "
    "right = Submission(cell('rnn')).code.gradient",
    "checkpoints": "from gradlab.manual.checkpointed import gradient as right",
    "the front door": "import gradlab; right = gradlab.check('rnn', examples=1)",
    "a module in the process": "import sys; right = sys.modules['gradlab.manual.rnn'].bptt",
    "objects in the process": (
        "import gc; named = [o for o in gc.get_objects() if getattr(o, '__name__', '') == 'bptt']; "
        "[right] = [o for o in named if o is not bptt and o.__defaults__]"
    ),
    "the repository": "import gradlab, os; right = open(os.path.dirname(gradlab.__file__) + '/../README.md').read()",
    "the derivations": (
        "import gradlab, os; right = open(os.path.dirname(gradlab.__file__) + '/derivations/rnn.md').read()"
    ),
    "a neighbour's file": "right = open({neighbour!r}).read()",
    "a neighbour's module": "import neighbour; right = neighbour.bptt",
}


@pytest.mark.parametrize("name", KEYS)
def test_the_answers_are_out_of_reach(name: str, submit: Submit, source: str, tmp_path: Path) -> None:
    needs(READING)
    neighbour = tmp_path / "neighbour.py"
    neighbour.write_text(source)
    code = textwrap.dedent(KEYS[name]).replace("{neighbour!r}", repr(str(neighbour)))
    path = submit(
        f"{source}\ntry:\n{textwrap.indent(code, '    ')}\nexcept Exception as error:\n    raise SystemExit(error)\n"
    )
    row = judged(Task(str(path), path.name, "", "rnn", 0), LIMITS)
    assert row.verdict == "refused"
    assert row.note.startswith(tuple(str(line) for line in range(100, 200))), row.note
    assert "importing it raises SystemExit" in row.note or "NameError" in row.note


# What a file does to what is outside it: (the protection, the code). It raises where it is kept from it, and says so.
OUTSIDE = {
    "a semaphore": (MESSAGES, "assert libc.semget({key}, 1, 0o1600) >= 0"),
    "somebody's semaphore": (MESSAGES, "assert libc.semctl({semaphore}, 0, 0) >= 0"),
    "a semaphore's operation": (MESSAGES, "assert libc.semop({semaphore}, bytes([0, 0, 1, 0, 0, 0]), 1) >= 0"),
    "a message queue": (MESSAGES, "assert libc.msgget({key}, 0o1600) >= 0"),
    "shared memory": (MESSAGES, "assert libc.shmget({key}, 4096, 0o1600) >= 0"),
    "a POSIX queue": (MESSAGES, "assert libc.syscall(240, b'gradlab', 0o102, 0o600, None) >= 0"),
    "a queue removed": (MESSAGES, "assert libc.syscall(241, b'gradlab') >= 0"),
    "a thread": (PROCESSES, "import threading; threading.Thread(target=print).start(); assert outside()"),
    "a process": (PROCESSES, "assert os.fork() >= 0 and outside()"),
    "a signal": (PROCESSES, "os.kill({pid}, 0)"),
    "a group's signal": (PROCESSES, "os.killpg({group}, 0)"),
    "another's priority": (PROCESSES, "os.setpriority(os.PRIO_PROCESS, {pid}, 1)"),
    "another's processors": (PROCESSES, "os.sched_setaffinity({pid}, [0])"),
    "another's limits": (PROCESSES, "import resource; resource.prlimit({pid}, 7, (9, 9))"),
    "another's memory": (READING, "open('/proc/{pid}/mem')"),
    "another's command": (READING, "open('/proc/{pid}/cmdline')"),
    "another's handle": (PROCESSES, "os.pidfd_open({pid})"),
    "a lock": (WRITING, "import fcntl; fcntl.flock(open(np.__file__), fcntl.LOCK_EX); assert outside()"),
    "a record's lock": (WRITING, "import fcntl; fcntl.lockf(open(np.__file__), fcntl.LOCK_SH); assert outside()"),
    "a lease": (WRITING, "import fcntl; fcntl.fcntl(open(np.__file__), 1024, 0); assert outside()"),
    "a watch": (READING, "d = libc.inotify_init(); assert libc.inotify_add_watch(d, {folder!r}.encode(), 2) >= 0"),
    "another user": (PROCESSES, "os.setuid(1); assert os.getuid() == 1"),
    "another group": (PROCESSES, "os.setgid(1); assert os.getgid() == 1"),
    "an attribute set": (WRITING, "os.setxattr({victim!r}, 'user.a', b'b')"),
    "times changed": (WRITING, "os.utime({victim!r})"),
    "an owner changed": (WRITING, "os.chown({victim!r}, 1, 1)"),
    "a hard link": (WRITING, "os.link({victim!r}, {outside!r})"),
    "a pipe made": (WRITING, "os.mkfifo({outside!r})"),
    "a file in its folder": (WRITING, "open('mine', 'w')"),
    "a nameless file": (WRITING, "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)"),
    "its library changed": (WRITING, "open(np.__file__, 'a')"),
    "its file changed": (WRITING, "open(__file__, 'a')"),
    "a local socket": (NETWORK, "import socket; socket.socket(socket.AF_UNIX)"),
    "a datagram": (NETWORK, "import socket; socket.socket(2, 2).sendto(b'', ('127.0.0.1', {port}))"),
    "a connection": (NETWORK, "import socket; socket.create_connection(('127.0.0.1', {port}))"),
    "a folder's names": (READING, "os.listdir({folder!r})"),
    "a link's target": (READING, "os.readlink({link!r})"),
    "an extended attribute": (READING, "os.getxattr({victim!r}, 'user.a')"),
    "the passwords": (READING, "open('/etc/passwd')"),
    "the home": (READING, "os.listdir(os.path.expanduser('~root')); assert outside()"),
    "a mount": (WRITING, "assert libc.mount(b'tmpfs', b'/tmp', b'tmpfs', 0, None) == 0"),
    "another view": (PROCESSES, "assert libc.unshare(0x10000000) == 0 and outside()"),
}
# What is nobody else's, where the kernel gives a process messages and a network of its own.
WITHIN = ("a semaphore", "a message queue", "shared memory", "a POSIX queue", "a local socket")
KEY = 0x67726C
BEFORE = """
import ctypes, os
libc = ctypes.CDLL(None)


def outside():
    return {contained!r} not in ("yes",)
"""


@pytest.mark.parametrize("name", OUTSIDE)
def test_nothing_is_done_to_what_is_outside(name: str, submit: Submit, source: str, tmp_path: Path) -> None:
    protection_needed, code = OUTSIDE[name]
    needs(protection_needed)
    inner, other = tmp_path / "inner", tmp_path / "outside.txt"
    inner.mkdir()
    victim, link = inner / "victim.txt", inner / "link"
    victim.write_text("whole")
    link.symlink_to("secret")
    before = victim.stat(), sorted(tmp_path.iterdir())
    with socket.create_server(("127.0.0.1", 0)) as server:
        said = {"victim": str(victim), "link": str(link), "folder": str(inner), "outside": str(other), "key": KEY}
        said |= {"pid": os.getpid(), "group": os.getpgid(0), "port": server.getsockname()[1], "semaphore": 0}
        body = BEFORE.format(contained="yes") + "def forward(*args):\n    " + code.format(**said)
        path = submit(source + "\n" + body + "\n")
        if name in WITHIN and SECCOMP not in protection(LIMITS):  # made in a namespace of its own, and gone with it
            with contextlib.suppress(SubmissionError):
                run(path)
        else:
            with pytest.raises(SubmissionError, match=r"forward raises (\w*Error)|its process ended"):
                run(path)
    libc = ctypes.CDLL(None)
    assert [libc.semget(KEY, 0, 0), libc.msgget(KEY, 0), libc.shmget(KEY, 0, 0)] == [-1, -1, -1]
    assert (victim.stat(), sorted(p for p in tmp_path.iterdir() if p != path)) == (
        before[0],
        [p for p in before[1] if p != path],
    )
    assert victim.read_text() == "whole"


def run(path: Path) -> None:
    with IsolatedSubmission(cell("rnn"), path, LIMITS) as submission:
        submission.floats(short(cell("rnn"), 2))


def test_what_it_needs_is_there(submit: Submit, source: str, tmp_path: Path) -> None:
    (tmp_path / "helper.py").write_text("import second\ndef twice(a): return second.twice(a)\n")
    (tmp_path / "second").mkdir()
    (tmp_path / "second" / "__init__.py").write_text("def twice(a): return 2 * a / 2\n")
    text = source.replace("= (y_hat - y) * y_hat", "= twice(y_hat - y) * y_hat")
    path = submit(text + "\nimport json, fractions, numpy.linalg\nfrom helper import twice\n")
    assert read_source(path).helpers() == [tmp_path / "helper.py", tmp_path / "second"]
    assert (
        judged(
            Task(str(path), path.name, "", "rnn", 0, (str(tmp_path / "helper.py"), str(tmp_path / "second"))), LIMITS
        ).verdict
        == "agree"
    )


# A line of a file, and what is noted of it.
NOTED = {
    "from gradlab.manual import rnn": "imports gradlab.manual.rnn, which is gradlab's own answer",
    "import gradlab.reference.cells": "imports gradlab.reference.cells, which is gradlab's own answer",
    "name = 'gradlab.manual.lstm'": "names gradlab.manual.lstm, which is gradlab's own answer",
    "import jax\ng = jax.grad(loss)": "calls jax.grad: the gradient is not written by hand",
    "from jax import grad as d\ng = d(loss)": "calls jax.grad: the gradient is not written by hand",
    "import torch.autograd as a\ng = a.grad(1)": "calls torch.autograd.grad: the gradient is not written by hand",
    "import scipy.optimize as o\ng = o.approx_fprime(1)": "calls approx_fprime: a gradient by differences",
    "def bptt(*a):\n    return loss(*a)": "bptt calls loss: a gradient by differences?",
    "def helper(*a):\n    return forward(*a)\ndef bptt(*a):\n    return helper(*a)": "bptt calls forward: a gradient",
}


@pytest.mark.parametrize("line", NOTED)
def test_a_gradient_that_is_somebody_elses_is_noted(line: str, submit: Submit) -> None:
    path = submit(f"def forward(*a): ...\ndef loss(*a): ...\n{line}\n")
    assert any(
        re.search(re.escape(NOTED[line]), note) for note in notes(read_source(path), ("forward", "loss", "bptt"))
    )


def test_an_honest_file_has_no_notes(submit: Submit, source: str) -> None:
    assert notes(read_source(submit(source)), ("forward", "loss", "bptt")) == []


def test_the_report_says_its_seed_and_that_seed_judges_the_same(submit: Submit, source: str) -> None:
    path = submit(source)
    first = check_file(path, examples=1, limits=LIMITS)
    assert first.own_seed is not None
    assert f"its own problems from seed {first.own_seed}" in " ".join(str(first).split())
    again = [check_file(path, examples=1, limits=LIMITS, seed=first.own_seed).to_json() for _ in range(2)]
    assert again[0] | {"seconds": 0} == again[1] | {"seconds": 0}
    assert check_file(path, examples=1, limits=LIMITS).own_seed != first.own_seed


def test_another_cell_than_the_files_is_refused(submit: Submit, source: str) -> None:
    with pytest.raises(SubmissionError, match="has the labels of rnn, and --cell says gru"):
        check_file(submit(source), "gru", limits=LIMITS)
