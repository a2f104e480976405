import json
from pathlib import Path

import pytest

from gradlab.verifier import document
from gradlab.verifier.document import read, read_notebook, read_text


def spans(text: str) -> list[str]:
    found = read_text(text)
    assert found.problems == []
    return [span.text.strip() for span in found.spans]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a $x = 1$ b", ["x = 1"]),
        ("$ x = 1 $", ["x = 1"]),
        ("$$ x = 1 $$", ["x = 1"]),
        ("$$\nx\n= 1\n$$", ["x\n= 1"]),
        ("$`x = 1`$", ["x = 1"]),
        ("```math\nx = 1\n```", ["x = 1"]),
        ("~~~math\nx = 1\n~~~\n$y$", ["x = 1", "y"]),
        ("costs \\$5 and \\$6", []),
        ("`$x$` and ``a ` $y$ ``", []),
        ("```python\n$x = 1$\n```\n$y$", ["y"]),
        ("<!-- $x$ --> $y$", ["y"]),
        ("$a$$b$", ["a", "b"]),
        ("[[ `unclosed\n\n$x$", ["x"]),
        ("    $x$ in an indented block is code", []),
        ("\\begin{align}\nx = 1\n\\end{align}", ["\\begin{align}\nx = 1\n\\end{align}"]),
        ("in words \\begin{equation}x = 1\\end{equation}", ["\\begin{equation}x = 1\\end{equation}"]),
        ("a\n\\[ x = 1 \\]\nb \\( y = 2 \\) c", ["x = 1", "y = 2"]),
        ("\\\\[\nx\n= 1\n- 3\n\\\\]\nb \\\\( y = 2 \\\\)", ["x\n= 1\n- 3", "y = 2"]),
        ("10. item\n\n    ```math\n    x = 1\n    ```\n", ["x = 1"]),
        ("> ```Math\n> x = 1\n> ```", ["x = 1"]),
        ("- item\n  $$\n  x = 1\n  $$\n  and $z = 2$", ["x = 1", "z = 2"]),
        ("```{math}\n:label: foo\nx = 1\n```", ["x = 1"]),
        ("```latex\nx = 1\n```", ["x = 1"]),
        ("| a | b |\n|---|---|\n| $x = 1$ | $y = 2$ |", ["x = 1", "y = 2"]),
        ("<p>\n$x = 2$ <code>$y = 3$</code></p>", ["x = 2"]),
        ("<!-->\n\n$$ x = 1 $$\n\n<!-- end -->", ["x = 1"]),
        ("it costs $5 and $6", []),
        ("$$ x = 1 $$ $$ y = 2 $$ <!-- a --> $$ z = 3 $$", ["x = 1", "y = 2", "z = 3"]),
    ],
)
def test_finds_the_mathematics(text: str, wanted: list[str]) -> None:
    assert spans(text) == wanted


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("one\ntwo $x =\n\n$y$", "<text>:2:5", r"`\$` is not closed"),
        ("$$ x = 1", "<text>:1:1", r"`\$\$` is not closed"),
        ("a\n\n  <!-- expect: false", "<text>:3:3", "comment is not closed"),
        ("```math\nx = 1", "<text>:1:1", "fence is not closed: wanted ```"),
        ("words <!-- expect: false -->", "<text>:1:7", "`expect` follows no equation"),
        ("$x=1$ and more words <!-- unchecked: no -->", "<text>:1:22", "`unchecked` follows no equation"),
        ("---\nsteps: 5\n\n$x$", "<text>:1:1", "front matter opened by --- is not closed"),
    ],
)
def test_what_is_not_closed_is_told_with_its_place(text: str, place: str, message: str) -> None:
    problem = read_text(text).problems[0]
    assert str(problem.place) == place
    with pytest.raises(AssertionError, match=message):
        raise AssertionError(problem.message)


def test_places_are_exact() -> None:
    found = read_text("---\nsteps: 5\n---\n\nß é $`\n  x = 1`$ and $y$")
    assert [str(span.place) for span in found.spans] == ["<text>:6:3", "<text>:6:16"]
    assert found.front == "steps: 5\n"
    assert found.front_offset == 4


def test_directives_belong_to_the_equation_before_them() -> None:
    span = read_text("$$ x = 1 $$.\n<!-- expect: false --> <!-- unchecked: why not -->").spans[0]
    assert [(d.word, d.text) for d in span.directives] == [("expect", "false"), ("unchecked", "why not")]


def notebook(*cells: dict) -> str:
    return json.dumps({"cells": list(cells), "nbformat": 4, "nbformat_minor": 5, "metadata": {}})


def test_reads_the_markdown_cells_of_a_notebook(tmp_path: Path) -> None:
    cells = [
        {"cell_type": "raw", "source": "---\nsteps: 6\n---\n"},
        {"cell_type": "code", "source": ["$not = this$"]},
        {"cell_type": "markdown", "source": ["text\n", "and $x = 1$"]},
    ]
    path = tmp_path / "lesson.ipynb"
    path.write_text(notebook(*cells), encoding="utf-8")
    found = read(path)
    assert found.front == "steps: 6\n"
    assert [str(span.place) for span in found.spans] == [f"{path}:cell 3:2:6"]


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("{", "<notebook>:1:2", "is not JSON"),
        ("[1]", "<notebook>:1:1", 'wanted an object with a list "cells"'),
        ('{"cells": 3}', "<notebook>:1:1", 'wanted an object with a list "cells"'),
        ('{"cells": [7]}', "<notebook>:cell 1:1:1", "a cell without source text"),
        ("[" * 100_000, "<notebook>:1:1", "is not a notebook"),
    ],
)
def test_a_broken_notebook_is_told_with_its_place(text: str, place: str, message: str) -> None:
    problem = read_notebook(text).problems[0]
    assert str(problem.place) == place
    assert message in problem.message


def test_files_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    (tmp_path / "binary.md").write_bytes(b"fine\nab\xff\x00")
    problem = read(tmp_path / "binary.md").problems[0]
    assert (problem.place.line, problem.place.column) == (2, 3)
    assert "byte 0xff is not UTF-8" in problem.message
    assert "cannot be opened" in read(tmp_path / "absent.md").problems[0].message
    assert "cannot be opened" in read(tmp_path).problems[0].message
    (tmp_path / "long.md").write_text("x" * (document.LONGEST_TEXT + 1), encoding="utf-8")
    assert "at most 1,000,000 are read" in read(tmp_path / "long.md").problems[0].message
    (tmp_path / "huge.md").write_text("x" * 10_000_000, encoding="utf-8")
    assert "at most 4,000,000 are read" in read(tmp_path / "huge.md").problems[0].message
