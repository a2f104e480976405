from __future__ import annotations

from pathlib import Path

from rich.table import Table
from rich.text import Text

import gradlab
from gradlab.rendering import as_html, as_text


def drawn() -> Table:
    table = Table("leaf", "verdict", box=None)
    table.add_row(Text("<W> & b", style="red"), "agree")
    return table


def test_plain_text_has_no_styles_and_no_blanks_at_its_ends() -> None:
    assert as_text(drawn(), 40).splitlines() == [" leaf     verdict", " <W> & b  agree"]
    assert all(len(line) <= 10 for line in as_text(drawn(), 10).splitlines())


def test_html_is_monospaced_and_escaped() -> None:
    page = as_html(drawn(), 40)
    assert page.startswith('<pre style="font-family:') and page.rstrip().endswith("</pre>")
    assert "monospace" in page.partition(">")[0]
    assert "&lt;W&gt; &amp; b" in page and "<W>" not in page and "color: #d83c32" in page


def test_nothing_else_draws_into_a_file() -> None:
    root = Path(gradlab.__file__).parent
    drawing = [file.name for file in root.rglob("*.py") if "Console(file" in file.read_text()]
    assert drawing == ["rendering.py"]
