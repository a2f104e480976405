from __future__ import annotations

import pytest

from gradlab.verifier.markdown import code, escaped, math, table


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("proven false for t = 0 (t <= T-2)", r"proven false for t = 0 (t \<= T-2)"),
        ("<cell>: a_b | $c$", r"\<cell\>: a\_b \| \$c\$"),
        ("unexpected `<`: wanted `|`", r"unexpected `<`: wanted `\|`"),
        ("a ` alone_", r"a ` alone\_"),
    ],
)
def test_text_stands_as_it_is(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_code_may_hold_its_own_marks() -> None:
    assert code("a\n = b") == "`a = b`"
    assert code("a ` b") == "``a ` b``" and code("`a``") == "``` `a`` ```"


def test_a_formula_is_one_line_without_bars() -> None:
    assert math("|a|\n = b") == r"$\vert a\vert  = b$"


def test_a_table() -> None:
    assert table(("", "equation"), [("✓", "$a$")]) == "|  | equation |\n|---|---|\n| ✓ | $a$ |"
