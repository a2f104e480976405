from __future__ import annotations

from typing import Any

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
    report = gradlab.verify(text=DERIVATION.replace("3 v", "2 v"))
    assert report.ok
    assert "✗" not in report._repr_markdown_()


def test_a_word_that_the_magic_does_not_know_is_said(capsys: Any) -> None:
    shell = Shell()
    gradlab.load_ipython_extension(shell)
    assert shell.magics["cell", "derivation"]("hnt", DERIVATION) is None
    assert capsys.readouterr().err == "%%derivation: hnt: takes nothing, hint or reveal\n"


def test_a_shell_without_tables_shows_the_text_of_a_result() -> None:
    results = [gradlab.compare("rnn"), gradlab.check("rnn", examples=1), gradlab.verify(text=DERIVATION)]
    for result in results:
        assert repr(result) == str(result)
