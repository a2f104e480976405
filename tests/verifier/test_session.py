"""While a document is written: what did not change is looked up, stale work is dropped, memory is bounded."""

import threading
from pathlib import Path

from gradlab.verifier import Session, verify_text
from gradlab.verifier.report import DocumentReport
from gradlab.verifier.session import Memory, watch

NETWORK = r"""
$$ z = W x + b $$
$$ a = \tanh(z) $$
$$ L = \frac{1}{2} \|a - y\|^2 $$
$$ \frac{\partial L}{\partial a} = a - y $$
"""
CLAIM = r"$$ \frac{\partial L}{\partial z} = (a - y) \odot (1 - a^2) $$"
WRONG = r"$$ \frac{\partial L}{\partial z} = (a - y) \odot (1 + a^2) $$"


def verdicts(report: DocumentReport | None) -> list[str]:
    assert report is not None
    return [finding.verdict for finding in report.findings]


def test_says_what_verify_says_and_looks_up_what_did_not_change() -> None:
    session = Session()
    for text in (NETWORK + CLAIM, NETWORK + WRONG, NETWORK + "words\n" + CLAIM):
        assert verdicts(session.judge(text, repairs=False)) == verdicts(verify_text(text, repairs=False))
    before = session.memory.hits
    session.judge(NETWORK + CLAIM, repairs=False)
    assert session.memory.hits >= before + 2


def test_a_changed_definition_changes_the_verdict() -> None:
    session = Session()
    assert verdicts(session.judge(NETWORK + CLAIM, repairs=False))[-1] == "true"
    changed = NETWORK.replace(r"\tanh(z)", r"\sigma(z)")
    assert verdicts(session.judge(changed + CLAIM, repairs=False))[-1] == "false"
    assert verdicts(session.judge(NETWORK + CLAIM, repairs=False))[-1] == "true"


def test_the_memory_is_bounded() -> None:
    memory = Memory(most=2)
    assert [memory.found(key, lambda key=key: key) for key in (1, 2, 3, 1)] == [1, 2, 3, 1]
    assert (len(memory), memory.hits) == (2, 0)
    assert memory.found(1, lambda: 9) == 1
    session = Session(most=1)
    session.judge(NETWORK + CLAIM, repairs=False)
    assert len(session.memory) == 1


def test_a_version_that_was_overtaken_is_dropped() -> None:
    session = Session()
    found: list[DocumentReport | None] = []
    with session._lock:  # the first version has begun, and waits
        first = threading.Thread(target=lambda: found.append(session.judge(NETWORK + CLAIM, "first", repairs=False)))
        first.start()
        while session._running is None:
            pass
        old = session._running
        second = threading.Thread(target=lambda: found.append(session.judge(NETWORK + WRONG, "second", repairs=False)))
        second.start()
        while session._running is old:
            pass
    first.join()
    second.join()
    assert sorted("" if each is None else each.name for each in found) == ["", "second"]


def test_watches_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.md"
    path.write_text(NETWORK + WRONG, encoding="utf-8")
    seen: list[str] = []

    def show(report: DocumentReport) -> bool:
        seen.append(report.verdict)
        path.write_text(NETWORK + CLAIM, encoding="utf-8")
        return len(seen) < 2

    watch(path, show, repairs=False)
    assert seen == ["disagree", "agree"]


def test_explains_what_it_inferred_as_front_matter_that_says_the_same() -> None:
    report = verify_text(NETWORK + CLAIM)
    text = report.text(explain=True)
    assert "  W: n1 x n2\n  x: n2 x 1\n" in text
    assert "# read with columns" in text
    front = report.inferred[: report.inferred.index("# read")]
    assert verdicts(verify_text(front + NETWORK + CLAIM)) == verdicts(report)
