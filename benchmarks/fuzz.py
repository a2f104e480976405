"""What does gradlab say to files that nobody meant to give it: changed at random, cut short, hostile, or no files?

Every case is a command of its own, in a forked process with a limit on time and memory. A defect is a traceback, a
hang, an exit status that is none of 0, 1, 2, 3, more than one line of why, or more memory than a file of that size can
ask for. Each kind of file is changed from a few good ones, by a seeded generator: the same cases every time.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from commands import Said, defects, forked
from measure import Result, Table, duration, memory

from gradlab.addition.train import Run, Settings, save
from gradlab.classroom import write_lesson
from gradlab.manual import rnn
from gradlab.verifier import verify_text

DERIVATIONS = Path(__file__).parents[1] / "derivations"
LIMIT = 60.0  # seconds
MOST = 1 << 30  # bytes of memory, above what the imports take
Case = tuple[str, list[Any]]

_WORDS = (
    b"$", b"$$", b"`", b"```math\n", b"---\n", b"\\frac{", b"}", b"{", b"\\begin{aligned}", b"\\end{aligned}", b"^T",
    b"\\odot", b"=", b":=", b"(t+1)", b"<!-- expect: false -->", b"<!--", b"-->", b"\n\n", b"\x00", b"\xff\xfe", b"\\",
    b"1e999", b"-1", b"99999999999999999999", b"&a *a", b"!!python/object:os.system", b"null", b"[", b"]", b"\"", b"'",
    b"\xe2\x80\xae", b"\xf0\x9f\x92\xa5", b"\r", b"\t", b"#", b"%", b"sizes: {H: 10000}", b"\\sum_{k>t}", b"NaN",
)  # fmt: skip


def changed(rng: np.random.Generator, good: bytes) -> bytes:
    """A copy with a few changes: bytes flipped, put in, taken out, doubled, or all that follows cut off."""
    raw = bytearray(good)
    for _ in range(int(rng.integers(1, 5))):
        at = int(rng.integers(0, len(raw) + 1))
        length = int(rng.choice([1, 2, 7, 60, 500]))
        match int(rng.integers(0, 7)):
            case 0 if at < len(raw):
                raw[at] ^= 1 << int(rng.integers(0, 8))
            case 1:
                raw[at:at] = _WORDS[int(rng.integers(0, len(_WORDS)))]
            case 2:
                del raw[at : at + length]
            case 3:
                raw[at:at] = raw[at : at + length]
            case 4 if rng.random() < 0.2:
                del raw[at:]
            case 5:
                to = int(rng.integers(0, len(raw) + 1))
                raw[to:to] = raw[at : at + length]
            case _:
                raw[at : at + length] = rng.bytes(length)
    return bytes(raw)


def npy(array: Any, header: bytes | None = None) -> bytes:
    """The bytes of an array's .npy, under another header where one is given."""
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=True)
    raw = stream.getvalue()
    return raw if header is None else raw[:8] + len(header).to_bytes(2, "little") + header + raw[128:]


class Evil:
    """What unpickling would run."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.write_text, (self.proof, "executed")


def archives(good: bytes, proof: Path) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """Archives that were made to do harm: what is wrong with each, and what makes it."""
    with zipfile.ZipFile(io.BytesIO(good)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}

    def written(changes: dict[str, bytes | None], method: int) -> bytes:
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", method) as archive:
            for name, raw in (members | changes).items():
                if raw is not None:
                    archive.writestr(name, raw)
        return stream.getvalue()

    def with_(changes: dict[str, bytes | None], method: int = zipfile.ZIP_STORED) -> Callable[[], bytes]:
        return lambda: written(changes, method)

    for name in members:
        evil = np.empty((), object)
        evil[()] = Evil(proof)
        yield "pickled objects", with_({name: npy(evil)})
        yield "a member is missing", with_({name: None})
        yield "a member is empty", with_({name: b""})
        for dtype in ("f4", "i8", "c16", "U3", "V8", "M8[s]", ">f8", "?"):
            with np.errstate(all="ignore"):
                yield "another dtype", with_({name: npy(np.zeros(3, dtype))})
        for value in (np.nan, np.inf, -np.inf):
            array = np.lib.format.read_array(io.BytesIO(members[name]))
            if array.dtype.kind == "f":
                yield "not finite", with_({name: npy(np.full_like(array, value))})
        for shape in ((), (0,), (1, 1, 1, 1), (10**4, 10)):
            yield "another shape", with_({name: npy(np.zeros(shape))})
        for claimed in ("(10**9, 10**9)", "(999999999999,)", "(-1,)", "(2, 3.5)", "((2,),)", "[2]", "None"):
            text = "{'descr': '<f8', 'fortran_order': False, 'shape': SHAPE, }".replace("SHAPE", claimed).encode()
            yield "a shape that is a lie", with_({name: npy(np.zeros(3), text)})
        for text in (
            b"__import__('os').system('touch " + os.fsencode(proof) + b"')",
            b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }",
            b"{" * 5000,
            b"(" * 60000,
            b"{'descr': [('a', '<f8'), ('b', '|O')], 'fortran_order': False, 'shape': (1,), }",
            b"\xff" * 100,
            b"",
        ):
            yield "a hostile header", with_({name: npy(np.zeros(3), text)})
    yield (
        "a bomb of 256 MB",
        lambda: written({"curve.npy": npy(np.zeros((1, 5))) + bytes(1 << 28)}, zipfile.ZIP_DEFLATED),
    )
    yield "a bomb of 64 MB, stored", with_({f"params/bomb{i}.npy": npy(np.zeros(1 << 20)) for i in range(8)})
    yield "ten thousand members", with_({f"params/{i}.npy": npy(0.0) for i in range(10_000)})
    for name in ("../../outside.npy", "/tmp/outside.npy", "params/../../x.npy", "C:\\x.npy", "a" * 60_000):
        yield "a name that leads outside", with_({name: npy(0.0)})
    settings = json.loads(str(np.lib.format.read_array(io.BytesIO(members["settings.npy"]))))
    for name in settings:
        for value in (None, -1, 10**30, 1e400, "x", [], {}, True, "rnn\x00", "../../x", float("nan")):
            text = json.dumps(settings | {name: value})
            yield "settings that cannot be", with_({"settings.npy": npy(np.array(text))})
    for text in ("", "{", "[" * 20_000, "null", "{}", '{"bits": 1e999}', "9" * 5000):
        yield "settings that are none", with_({"settings.npy": npy(np.array(text))})
    for step in (-1, 2**63 - 1, 10**12 + 1):
        yield "a step that cannot be", with_({"step.npy": npy(step)})
    for cut in range(0, len(good), 64):
        yield "cut short, every 64 bytes", partial(bytes, good[:cut])
    for cut in range(0, len(good), 64):
        yield "a byte flipped, every 64", partial(bytes, good[:cut] + bytes([good[cut] ^ 0xFF]) + good[cut + 1 :])


def runs(folder: Path, rng: np.random.Generator, count: int) -> Iterator[Case]:
    """Run files: the crafted ones to their readers in turn, and `count` changed at random."""
    proof = folder / "executed"
    save(Run.start(Settings(hidden=4, epochs=10)), folder / "good.npz")
    good, path = (folder / "good.npz").read_bytes(), folder / "run.npz"
    readers = [
        ["add", "3", "5", "--weights", path],
        ["draw", "network", "--weights", path, "-o", folder / "drawn.png"],
        ["train", "--resume", "--save", path, "--epochs", "11"],
    ]
    for i, (kind, make) in enumerate(archives(good, proof)):
        if i % (1 if count > 100 else 16):
            continue
        path.write_bytes(make())
        yield kind, readers[i % 3]
        if proof.exists():
            yield "executed", ["executed"]
    for i in range(count):
        path.write_bytes(changed(rng, good))
        yield "changed at random", readers[i % 3]


def documents(folder: Path, rng: np.random.Generator, count: int) -> Iterator[Case]:
    """Markdown derivations and their front matter, small ones, so that judging them takes no time."""
    texts = [path.read_bytes() for path in sorted(DERIVATIONS.glob("*.md"))]
    for _ in range(count):
        text = texts[int(rng.integers(0, len(texts)))]
        front, _, body = text.partition(b"\n---\n")
        at = int(rng.integers(0, max(len(body) - 1500, 1)))
        raw = changed(rng, front + b"\n---\n" + body[at : at + 1500])
        (folder / "mine.md").write_bytes(raw)
        yield "Markdown", ["verify", folder / "mine.md", *(["--hint"] if rng.random() < 0.2 else [])]
    for _ in range(count // 4):
        text = texts[int(rng.integers(0, len(texts)))]
        front, _, _ = text.partition(b"\n---\n")
        (folder / "mine.md").write_bytes(changed(rng, changed(rng, front)) + b"\n---\n$$ L = L $$\n")
        yield "front matter", ["verify", folder / "mine.md"]


def notebooks(folder: Path, rng: np.random.Generator, count: int) -> Iterator[Case]:
    """Notebooks: their JSON changed, and cells of every shape that JSON has."""
    text = (DERIVATIONS / "rnn.md").read_text("utf-8")
    front, _, body = text.partition("\n---\n")
    cells: list[Any] = [
        {"cell_type": "raw", "metadata": {}, "source": f"{front}\n---\n"},
        {"cell_type": "markdown", "metadata": {}, "source": body[:1500].splitlines(keepends=True)},
        {"cell_type": "code", "metadata": {}, "source": "print()", "outputs": [], "execution_count": None},
    ]
    good = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    odd = [None, 1, "x", [], {}, [1], {"cell_type": 3}, {"cell_type": "markdown", "source": {"a": 1}}, [["x"]], True]
    for one in odd:
        for notebook in (one, {"cells": one}, {"cells": [one]}, {"cells": [*cells, one]}):
            (folder / "mine.ipynb").write_text(json.dumps(notebook))
            yield "notebook of odd parts", ["verify", folder / "mine.ipynb"]
    for deep in ("[" * 100_000, '{"cells":' * 5000, '{"cells": [' + "[" * 3000 + "]" * 3000 + "]}"):
        (folder / "mine.ipynb").write_text(deep)
        yield "notebook of odd parts", ["verify", folder / "mine.ipynb"]
    for _ in range(count):
        (folder / "mine.ipynb").write_bytes(changed(rng, json.dumps(good).encode()))
        yield "notebook", ["verify", folder / "mine.ipynb"]


def submissions(folder: Path, rng: np.random.Generator, count: int) -> Iterator[Case]:
    """Python files and lessons; each starts a process, so there are fewer."""
    good = [Path(rnn.__file__).read_bytes(), write_lesson("rnn").encode()]
    for i in range(count):
        (folder / "mine.py").write_bytes(changed(rng, good[i % 2]))
        short = ["--examples", "1", "--seconds", "2"]
        yield ("submission", "lesson")[i % 2], ["check", folder / "mine.py", *short]


def odd_files(folder: Path) -> Iterator[Case]:
    """What is no file, or none that anyone meant, to every command that reads one."""
    made: dict[str, Path] = {}

    def make(kind: str, name: str | bytes, how: Callable[[Path], Any]) -> None:
        path = folder / kind.replace(" ", "-") / os.fsdecode(name)
        path.parent.mkdir()
        try:
            how(path)
        except OSError:
            return  # this system has no such file
        made[kind] = path

    def loop(path: Path) -> None:
        path.symlink_to(path)

    def sparse(path: Path) -> None:
        path.touch()
        os.truncate(path, 1 << 30)

    good = Path(rnn.__file__).read_text("utf-8")
    for suffix in (".py", ".md", ".ipynb", ".npz"):
        made.clear()
        make(f"a pipe{suffix}", f"odd{suffix}", os.mkfifo)
        make(f"a link to itself{suffix}", f"odd{suffix}", loop)
        make(f"a link to nothing{suffix}", f"odd{suffix}", lambda path: path.symlink_to("gone"))
        make(f"a folder{suffix}", f"odd{suffix}", Path.mkdir)
        make(f"a gigabyte of nothing{suffix}", f"odd{suffix}", sparse)
        make(f"no bytes{suffix}", f"odd{suffix}", Path.touch)
        make(f"a line break in its name{suffix}", f"odd\nname{suffix}", lambda path: path.write_text("x ="))
        make(f"a name that is no text{suffix}", b"odd\xff\xfe" + suffix.encode(), lambda path: path.write_text("x ="))
        make(f"spaces and quotes{suffix}", f" odd 'name\" {suffix}", lambda path: path.write_text("x ="))
        make(f"the longest name{suffix}", "x" * (255 - len(suffix)) + suffix, lambda path: path.write_text("x ="))
        make(f"a name like an option{suffix}", f"-o{suffix}", lambda path: path.write_text("x ="))
        make(f"a socket{suffix}", f"odd{suffix}", _socket)
        make(f"a right file, oddly named{suffix}", f"o d\n\x1b[31md{suffix}", lambda path: path.write_text(good))
        devices = {name: Path("/dev") / name for name in ("null", "zero", "full", "tty", "stdin", "urandom")}
        for kind, path in (made | {name: path for name, path in devices.items() if path.exists()}).items():
            kind = "odd files: " + kind.removesuffix(suffix)
            if suffix == ".py":
                yield kind, ["check", path, "--examples", "1", "--seconds", "2"]
                yield kind, ["check", path.parent if path.parent.is_relative_to(folder) else path]
            elif suffix == ".npz":
                yield kind, ["add", "1", "2", "--weights", path]
                yield kind, ["train", "--resume", "--save", path]
                yield kind, ["draw", "network", "--weights", path, "-o", folder / "x.png"]
            else:
                yield kind, ["verify", path]
                yield kind, ["verify", path.parent if path.parent.is_relative_to(folder) else path]
            yield kind + ", as output", ["exercise", "rnn", "-o", path]
            yield kind + ", as output", ["mistakes", "--json", path]
        for path in folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _socket(path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


def run(cases: Iterator[Case], folder: Path, kept: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Run cases; by kind how many there were, how they ended, the slowest, and the defects, whose files are kept."""
    found: dict[str, dict[str, Any]] = {}
    for kind, arguments in cases:
        row = found.setdefault(kind, {"cases": 0, "ended": Counter[int](), "slowest": 0.0, "memory": 0, "defects": []})
        said = Said(-99, "", "executed", 0.0, 0) if arguments == ["executed"] else forked(arguments, LIMIT)
        wrong = defects(said)
        if said.memory > BASE[0] + MOST:
            wrong.append(f"takes {memory(said.memory)}")
        row["cases"] += 1
        row["ended"][said.status] += 1
        row["slowest"], row["memory"] = max(row["slowest"], said.seconds), max(row["memory"], said.memory)
        if wrong:
            row["defects"] += wrong
            files = [path for path in folder.iterdir() if path.is_file() and path.stat().st_size < 1 << 20]
            copy = {path.name: path.read_bytes().hex() for path in files}
            kept.append({"kind": kind, "arguments": [*map(str, arguments)], "wrong": wrong, "err": said.err[-2000:]})
            kept[-1]["files"] = copy
            print(f"{kind}: {arguments}: {wrong}: {said.err[-300:]!r}", flush=True)
    return found


BASE = [0]  # bytes that a command takes which reads a good file


def main() -> None:
    """Run everything, one kind after the other, and judge."""
    result = Result(__doc__.strip().splitlines()[0])
    counts = (40, 40, 40, 6) if result.quick else (500, 500, 300, 40)
    verify_text("---\nsizes: {N: 2}\nsteps: 4\nsymbols: {v: 1 x N}\n---\n$$ v = v $$")  # imported before the forks
    import gradlab.figures

    assert gradlab.figures
    kept: list[dict[str, Any]] = []
    found: dict[str, dict[str, Any]] = {}
    start = time.monotonic()
    for number, kind in enumerate(("runs", "documents", "notebooks", "submissions", "odd")):
        with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
            folder, rng = Path(scratch), np.random.default_rng(number)
            if not BASE[0]:
                save(Run.start(Settings(hidden=4, epochs=10)), folder / "good.npz")
                BASE[0] = forked(["add", "1", "2", "--weights", folder / "good.npz"]).memory
            makers = {"runs": runs, "documents": documents, "notebooks": notebooks, "submissions": submissions}
            cases = odd_files(folder) if kind == "odd" else makers[kind](folder, rng, counts[number])
            found |= run(cases, folder, kept)
            print(f"{kind}: {duration(time.monotonic() - start)}", flush=True)
    table = Table(
        f"{sum(row['cases'] for row in found.values()):,} files that nobody meant to give it",
        ["kind", "cases", "exit 0", "1", "2", "3", "another", "slowest", "most memory", "defects"],
    )
    for kind, row in merged(found).items():
        ended = row["ended"]
        others = sum(count for status, count in ended.items() if status not in (0, 1, 2, 3))
        counted = [str(ended[status]) for status in (0, 1, 2, 3)]
        last = [str(others), duration(row["slowest"]), memory(row["memory"]), str(len(row["defects"]))]
        table.rows.append([kind, f"{row['cases']:,}", *counted, *last])
    table.note = (
        "Each a command in a process of its own. A defect: a traceback, a hang, another exit status, more than one "
        f"line of why, something executed, or {memory(MOST)} more memory than a good file takes. Exit 0 and 1: the "
        "change did not matter, or was a wrong equation."
    )
    result.table(table)
    result.data = {"found": {kind: row | {"ended": dict(row["ended"])} for kind, row in found.items()}, "defects": kept}
    cases = sum(row["cases"] for row in found.values())
    wrong = sum(len(row["defects"]) for row in found.values())
    result.target(
        "fuzz", "no traceback, no hang, exit status 0 to 3, one line", f"{wrong} in {cases:,} cases", not wrong
    )
    result.close()


def merged(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows of the table: odd files are one each of many kinds, and stand together."""
    rows: dict[str, dict[str, Any]] = {}
    for kind, row in found.items():
        name = "odd files, read or written" if kind.startswith("odd files") else kind
        into = rows.setdefault(name, {"cases": 0, "ended": Counter[int](), "slowest": 0.0, "memory": 0, "defects": []})
        into["cases"] += row["cases"]
        into["ended"].update(row["ended"])
        into["slowest"], into["memory"] = max(into["slowest"], row["slowest"]), max(into["memory"], row["memory"])
        into["defects"] += row["defects"]
    return rows


if __name__ == "__main__":
    main()
