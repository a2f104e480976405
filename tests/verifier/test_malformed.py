"""Documents broken by mutation of the shipped ones: no traceback, no hang, always file, line and column."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gradlab.verifier import verify, verify_text
from gradlab.verifier.report import DocumentReport

DOCUMENTS = [
    path.read_text(encoding="utf-8") for path in sorted((Path(__file__).parents[2] / "derivations").glob("*.md"))
]
SHORT = min(DOCUMENTS, key=len)
PIECES = [
    *(
        "$",
        "$$",
        "`",
        "```",
        "```math\n",
        "{",
        "}",
        "(",
        ")",
        "\\",
        "\\\\",
        "&",
        "^",
        "_",
        "^T",
        "?",
        "=",
        ":=",
        "\n\n",
    ),
    *(
        "\\frac",
        "\\foo",
        "\\partial",
        "\\sum_{k>t}",
        "\\sum_{k=0}^{99}",
        "\\left(",
        "\\hat",
        "\\odot",
        "\\frac00",
        "\\tag{",
    ),
    *(
        "<!--",
        "-->",
        "<!-- expect: false -->",
        "<!-- unchecked -->",
        "\\begin{align}",
        "\\end{align}",
        "---\n",
        "steps: 99",
    ),
    *("\u202e", "é", "σ", "\x00", "\ud800", "\U0001f600", "(t+1)", "(t-9)", "(T)", "cell: x", "&a *a", "sizes: {H: 0}"),
    *("{" * 300, "(" * 500, "-" * 3000, "x+" * 1500 + "x", "9" * 5000, "^{64}", "\\log", "\\mathbf{1}"),
]


def check(report: DocumentReport) -> None:
    str(report).encode("utf-8")
    report.to_json()
    report._repr_markdown_()
    assert report.exit_status in (0, 1, 2, 3)
    for finding in report.findings:
        assert finding.place.file == report.name
        assert finding.place.line >= 1
        assert finding.place.column >= 1


def mutated(random: Random, text: str) -> str:
    i = random.randrange(len(text) + 1)
    j = min(len(text), i + random.randrange(1, 60))
    k = random.randrange(len(text) + 1)
    lines = text.split("\n")
    random.shuffle(lines)
    ways = [
        text[:i],
        text[:i] + text[j:],
        text[:i] + random.choice(PIECES) + text[i:],
        text[:i] + random.choice(PIECES) + text[j:],
        text[:i] + text[i:j] * random.randrange(2, 30) + text[j:],
        text[:k] + text[i:j] + text[k:],
        "\n".join(lines),
    ]
    return random.choice(ways)


@pytest.mark.parametrize("seed", range(16))
def test_mutated_documents(seed: int) -> None:
    random = Random(seed)
    check(verify_text(mutated(random, mutated(random, random.choice(DOCUMENTS))), "a.md", repairs=False, seconds=5))


@settings(max_examples=15)
@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=5), max_size=12), st.integers(0, len(SHORT)))
def test_pieces_anywhere(pieces: list[str], at: int) -> None:
    check(verify_text(SHORT[:at] + "".join(pieces) + SHORT[at:], "a.md", repairs=False, seconds=5))


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"\xff\xfe", b"$" * 99, b"\x89PNG\r\n\x1a\n", b"\xef\xbb\xbf$x$"])
def test_binary_and_empty_files(tmp_path: Path, data: bytes) -> None:
    for name in ("a.md", "a.ipynb"):
        (tmp_path / name).write_bytes(data)
        check(verify(tmp_path / name))


@pytest.mark.parametrize("unit", ["$a = b$ ", "```math\n", "` `` ", "<!-- ", "$$\n\n", "\\", "("])
def test_ten_megabytes(tmp_path: Path, unit: str) -> None:
    for size in (10_000_000, 900_000):
        (tmp_path / "a.md").write_text(unit * (size // len(unit)), encoding="utf-8")
        check(verify(tmp_path / "a.md", seconds=1))
