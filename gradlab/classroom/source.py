"""A file that somebody hands in, read here and not yet run: a Python file or a notebook.

Everything that is taken from it is text: which cell it says it is, which modules beside it it imports, what it calls
that makes its gradient somebody else's.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from gradlab.cells import known
from gradlab.checker.watch import SubmissionError
from gradlab.files import read_bytes

SUFFIXES = (".py", ".ipynb")
MARKER = re.compile(r"# gradlab lesson: (\S+)\s*")
LARGEST = 1 << 20  # bytes of one file; a notebook's pictures are not counted

_LABEL = re.compile(r"#[ \t]*([a-z]\w*)\.\w+[ \t]*$", re.MULTILINE)
_NOT_PYTHON = re.compile(r"^\s*[%!?]")
_GRADIENTS = {"grad", "value_and_grad", "jacobian", "jacfwd", "jacrev", "vjp", "jvp", "linearize", "backward"}
_LIBRARIES = {"jax", "torch", "autograd", "tensorflow", "numdifftools", "tinygrad", "mygrad"}
_DIFFERENCES = {"approx_fprime", "approx_derivative", "check_grad"}
_OWN = ("gradlab.manual", "gradlab.reference", "gradlab.oracles", "gradlab.mistakes")


@dataclass(frozen=True)
class Source:
    """What a file says.

    text: its Python; of a notebook, that of its code cells, one after the other, a line for a line.
    cells: of a notebook, the line of `text` that each code cell begins at, with its number in the notebook.
    """

    path: Path
    text: str
    cells: tuple[tuple[int, int], ...] = ()

    @property
    def lesson(self) -> str | None:
        """The cell it is a lesson on, by the marker in its first line, of a notebook in any; None for no lesson."""
        lines = self.text.splitlines() if self.cells else self.text.splitlines()[:1]
        return next((match[1] for line in lines if (match := MARKER.fullmatch(line))), None)

    @property
    def labelled(self) -> str | None:
        """The one registered cell that the labels at the ends of its lines are of; None where there are none."""
        found = {name for name in _LABEL.findall(self.text) if name in known()}
        return found.pop() if len(found) == 1 else None

    @cached_property
    def tree(self) -> ast.Module:
        """Raises SubmissionError: it is no Python."""
        try:
            return ast.parse(self.text)
        except SyntaxError as error:
            raise SubmissionError(f"{self.where(error.lineno or 0)}:{error.offset}: {error.msg}") from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise SubmissionError(f"{self.path}: not Python that can be read: {error}") from None

    @property
    def is_python(self) -> bool:
        """Whether it can be read."""
        try:
            return bool(self.tree)
        except SubmissionError:
            return False

    def defines(self, name: str) -> bool:
        """Whether anything at the top level is called that."""
        return any(getattr(node, "name", None) == name or name in _targets(node) for node in self.tree.body)

    def where(self, line: int) -> str:
        """A line of `text`, as its author counts: `mine.py:12`, or `mine.ipynb, cell 3, line 2`."""
        if not self.cells:
            return f"{self.path}:{line}" if line > 0 else f"{self.path}"
        first, number = max((cell for cell in self.cells if cell[0] <= line), default=self.cells[0])
        return f"{self.path}, cell {number}, line {max(line - first, 1)}"

    @property
    def imported(self) -> list[str]:
        """The modules that it imports by name, each whole: "numpy", "gradlab.manual.rnn"."""
        found: dict[str, None] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= dict.fromkeys(alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found |= dict.fromkeys([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        return list(found)

    def helpers(self) -> list[Path]:
        """The modules beside it that it imports, and those that these import, as files and folders."""
        found: dict[Path, None] = {}
        todo = [(self.path.parent, name) for name in self._imported_if_python()]
        while todo:
            folder, name = todo.pop()
            first = name.partition(".")[0]
            for path in (folder / f"{first}.py", folder / first):
                if path not in found and path != self.path and not path.is_symlink() and _is_module(path):
                    found[path] = None
                    if path.suffix == ".py":
                        todo += [(folder, other) for other in Source(path, _text(path))._imported_if_python()]
        return list(found)

    def _imported_if_python(self) -> list[str]:
        return self.imported if self.is_python else []


def read_source(path: str | Path) -> Source:
    """Read a file that is handed in.

    Raises:
        SubmissionError: it is missing, too large, no text, or a notebook that cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise SubmissionError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    if path.suffix == ".ipynb":
        return _notebook(path)
    return Source(path, _text(path))


def _text(path: Path, most: int = LARGEST) -> str:
    try:
        content = read_bytes(path, most + 1)
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise SubmissionError(f"{path}: larger than {most >> 20} MiB; no gradient is")
    if b"\0" in content:
        raise SubmissionError(f"{path}: not Python that can be read: source code string cannot contain null bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SubmissionError(f"{path}:{line}: not UTF-8; save it so") from None


def _notebook(path: Path) -> Source:
    """A notebook's code cells, magics and shell lines left out; of a `%%gradlab` cell, what stands below that line."""
    try:
        said = json.loads(_text(path, most=64 * LARGEST))
        cells = [(n, cell["cell_type"], "".join(cell["source"])) for n, cell in enumerate(said["cells"], 1)]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SubmissionError(f"{path}: no notebook that can be read: {type(error).__name__}: {error}") from None
    lines: list[str] = []
    starts = []
    for number, kind, text in cells:
        if kind == "code":
            starts.append((len(lines) + 1, number))
            lines += [f"# %% cell {number}", *_plain(text.splitlines())]
    text = "\n".join(lines) + "\n"
    if len(text) > LARGEST:
        raise SubmissionError(f"{path}: its code is larger than {LARGEST >> 20} MiB; no gradient is")
    return Source(path, text, tuple(starts))


def _plain(lines: list[str]) -> Iterator[str]:
    """A cell's lines, those that are not Python as comments."""
    foreign = bool(lines) and lines[0].startswith("%%") and lines[0].split()[0] not in ("%%gradlab", "%%time")
    for line in lines:
        yield f"# {line}" if foreign or _NOT_PYTHON.match(line) else line


def _is_module(path: Path) -> bool:
    return path.is_file() if path.suffix == ".py" else (path / "__init__.py").is_file()


def _targets(node: ast.AST) -> list[str]:
    targets = node.targets if isinstance(node, ast.Assign) else []
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def notes(source: Source, functions: tuple[str, ...]) -> list[str]:
    """What is to be known of a file beside its verdict: what it calls that makes the gradient somebody else's.

    Args:
        functions: the names of forward, the loss and the gradient. A call of the first two from the gradient looks
            like differences.
    """
    if not source.is_python:
        return []
    found: dict[str, None] = {}
    aliases = dict(_aliases(source.tree))
    for module in source.imported:
        if module.startswith(_OWN) and not module.startswith("gradlab.manual.gates") and module != "gradlab.manual":
            found[f"imports {module}, which is gradlab's own answer"] = None
    for node in (one for one in ast.walk(source.tree) if isinstance(one, ast.expr)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith(_OWN):
            found[f"{source.where(node.lineno)} names {node.value}, which is gradlab's own answer"] = None
        name = _dotted(node.func, aliases) if isinstance(node, ast.Call) else ""
        library, last = name.partition(".")[0], name.rpartition(".")[2]
        if library in _LIBRARIES and last in _GRADIENTS:
            found[f"{source.where(node.lineno)} calls {name}: the gradient is not written by hand"] = None
        if last in _DIFFERENCES:
            found[f"{source.where(node.lineno)} calls {last}: a gradient by differences"] = None
    *before, gradient = functions
    for name in before:
        if name in _called_from(source.tree, gradient):
            found[f"{gradient} calls {name}: a gradient by differences?"] = None
    return list(found)


def _aliases(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """What names stand for modules and what is in them: {"np": "numpy", "grad": "jax.grad"}."""
    for node in ast.walk(tree):
        for alias in node.names if isinstance(node, ast.Import | ast.ImportFrom) else ():
            if isinstance(node, ast.ImportFrom):
                yield alias.asname or alias.name, f"{node.module}.{alias.name}"
            elif alias.asname:
                yield alias.asname, alias.name
            else:
                yield alias.name.partition(".")[0], alias.name.partition(".")[0]


def _dotted(node: ast.AST, aliases: dict[str, str]) -> str:
    """`np.linalg.norm` as "numpy.linalg.norm"; "" for what is no name."""
    if isinstance(node, ast.Name):
        return aliases.get(node.id, node.id)
    if isinstance(node, ast.Attribute):
        first = _dotted(node.value, aliases)
        return f"{first}.{node.attr}" if first else ""
    return ""


def _called_from(tree: ast.Module, function: str) -> set[str]:
    """The functions of this file that one of them calls, directly or not."""
    bodies: dict[str, Any] = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    seen: set[str] = set()
    todo = [function]
    while todo:
        body = bodies.get(todo.pop())
        names = (
            {n.id for n in ast.walk(body) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)} if body else ()
        )
        todo += [name for name in names if name in bodies and name not in seen]
        seen |= {name for name in names if name in bodies}
    return seen
