"""%load_ext gradlab: %%gradlab judges the gradient that a cell defines, %%derivation the derivation written in it."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

ORIGIN = "the cell"
WORDS, GO_ON = ("hint", "reveal"), "--continue"


class Notebook:
    """The magics of one shell, and the derivation that its cells share."""

    def __init__(self, shell: Any) -> None:
        self.shell = shell
        self.derived = ""

    def gradlab(self, line: str, cell: str) -> Any:
        """Run a cell, and judge the gradient that it defines, alone or with what was defined before.

        `%%gradlab` on a cell that defines `bptt` (or `rtrl`) judges the network that its labels are of, or the one that
        is named, `%%gradlab lstm`, `%%gradlab mycell.py`: each equation by itself where they are labelled, else the
        whole. On a cell that defines `grad`, and with it or before it `loss`, it judges that gradient at `params`, or
        at what is named: `%%gradlab weights`.
        """
        words = line.split()
        if len(words) > 1:
            return self._said("%%gradlab", "takes a cell or the name of your parameters, nothing more")
        if not self._ran(cell):
            return None
        try:
            return self._judged(words[0] if words else "", cell)
        except Exception as error:
            if _is_theirs(error):
                return self._said("%%gradlab", str(error))
            raise

    def _ran(self, cell: str) -> bool:
        """Run the cell as it is; whether it raised nothing."""
        done = self.shell.run_cell(cell)
        return bool(done.success)

    def _judged(self, word: str, cell: str) -> Any:
        from gradlab.cells import GRADIENTS

        names, defined = self.shell.user_ns, _functions(cell)
        if any(name in GRADIENTS for name in defined):
            return _network(word, cell, names)
        if "grad" in defined or "loss" in defined:
            return _any_gradient(word or "params", names)
        return self._said("%%gradlab", "the cell defines neither bptt (or rtrl) nor grad; one of them is judged")

    def derivation(self, line: str, cell: str) -> Any:
        """Judge the Markdown of a cell; the result shows each equation, rendered, with its mark.

        `%%derivation hint` says of a wrong one what kind of mistake it is, `%%derivation reveal` the repair as well.
        `%%derivation --continue` goes on where the last such cell ended: what was defined there is known.
        """
        words = line.split()
        if unknown := [word for word in words if word not in (*WORDS, GO_ON)]:
            return self._said("%%derivation", f"{' '.join(unknown)}: takes nothing, hint, reveal or {GO_ON}")
        before = f"{self.derived}\n\n" if GO_ON in words and self.derived else ""
        self.derived = before + cell
        return _shown(self.derived, before.count("\n"), {*words} & {*WORDS})

    @staticmethod
    def _said(magic: str, text: str) -> None:
        sys.stderr.write(f"{magic}: {text}\n")


def _shown(text: str, lines: int, words: set[str]) -> Any:
    """The report on a document, of which the first lines were judged before: what is found in the others."""
    from gradlab.verifier import verify_text

    report = verify_text(text, name="cell", repairs=bool(words))
    own = [
        replace(finding, place=finding.place._replace(line=finding.place.line - lines))
        for finding in report.findings
        if finding.place.line > lines
    ]
    return replace(report, findings=own, hint=bool(words), reveal="reveal" in words)


def _functions(cell: str) -> set[str]:
    """The functions that a cell defines at its top level; it has been run, so it is Python, magics apart."""
    from gradlab.classroom.source import _plain

    tree = ast.parse("\n".join(_plain(cell.splitlines())))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def _network(word: str, cell: str, names: dict[str, Any]) -> Any:
    from pathlib import Path

    from gradlab.cells import cell as registered
    from gradlab.classroom.here import code_of, grade_here
    from gradlab.classroom.single import cell_of
    from gradlab.classroom.source import Source, _plain
    from gradlab.lab import check

    text = "\n".join(_plain(cell.splitlines()))
    source = Source(Path(ORIGIN), text)
    tested = registered(cell_of(source, word or None))
    if source.labelled == tested.name:
        return grade_here(tested, text, names, ORIGIN)
    return check(tested.name, code=code_of(tested, names, ORIGIN))


def _any_gradient(word: str, names: dict[str, Any]) -> Any:
    from gradlab.checker.watch import SubmissionError
    from gradlab.gradients import check_gradient

    missing = [name for name in ("loss", "grad", word) if name not in names]
    if missing:
        raise SubmissionError(f"{', '.join(missing)} must be defined first; parameters of another name: %%gradlab NAME")
    return check_gradient(names["loss"], names["grad"], names[word])


def _is_theirs(error: Exception) -> bool:
    """Whether the error says in its own words what is wrong with the cell."""
    from gradlab.cells import CellError, UnknownName
    from gradlab.checker.watch import SubmissionError
    from gradlab.gradients.called import GradientCheckError

    return isinstance(error, (SubmissionError, UnknownName, CellError, GradientCheckError))


def load(ipython: Any) -> None:
    """Register the magics with an IPython shell."""
    notebook = Notebook(ipython)
    magics: dict[str, Callable[[str, str], Any]] = {"derivation": notebook.derivation, "gradlab": notebook.gradlab}
    for name, magic in magics.items():
        ipython.register_magic_function(magic, magic_kind="cell", magic_name=name)
