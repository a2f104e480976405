"""Reads a derivation and judges every equation in it.

Definitions first, each claim resolved with the symbols known where it stands; then every claim is judged in one world,
so that one wrong line cannot poison a later one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from gradlab.faults import Fault, shielded
from gradlab.interrupts import checkpoint, held
from gradlab.verifier.bound import Bound, bound_to
from gradlab.verifier.document import SUFFIXES, Document, read, read_text
from gradlab.verifier.explain import explained
from gradlab.verifier.inference import said
from gradlab.verifier.judge import ZERO_NOTE
from gradlab.verifier.judging import claimed, judged_openly, mixed_products
from gradlab.verifier.limits import SECONDS, Limits, OutOfTime
from gradlab.verifier.reading import Derivation, Link, resolve
from gradlab.verifier.repair import find_repair
from gradlab.verifier.report import ASIDE, DocumentReport, Finding, Repair, Verification
from gradlab.verifier.scope import Scope
from gradlab.verifier.shapes import Trouble
from gradlab.verifier.terms import Derivative, Name, Term, walk


def verify(
    path: str | Path | None = None,
    *,
    text: str | None = None,
    repairs: bool | None = None,
    seconds: float = SECONDS,
    strict: bool = False,
) -> DocumentReport:
    """The report on one Markdown file, notebook or LaTeX file, or on a text. Whatever it holds, this raises nothing.

    Args:
        path: the file. text: Markdown, in place of a file.
        repairs: search a repair for every wrong claim (True), for none (False), or for those not announced (None).
        seconds: what is not read or judged by then is "cannot tell".
        strict: whether a document in which anything is set aside (`expect`, `unchecked`, goals) is "cannot tell".
    """
    if (path is None) == (text is None):
        raise TypeError("verify takes a path or a text, one of the two")
    limits = Limits(seconds)
    document = read_text(text or "", "<text>", limits) if path is None else read(path, limits)
    return report(document, repairs, limits, strict)


def verify_text(
    text: str, name: str = "<text>", repairs: bool | None = None, seconds: float = SECONDS, strict: bool = False
) -> DocumentReport:
    """The report on a derivation in a string of Markdown; as `verify`."""
    limits = Limits(seconds)
    return report(read_text(text, name, limits), repairs, limits, strict)


def verify_paths(
    paths: Iterable[str | Path], repairs: bool | None = None, seconds: float = SECONDS, strict: bool = False
) -> Verification:
    """The reports on files, and on every .md, .ipynb and .tex file in folders, in the order of their names.

    Interrupted (Ctrl-C), it returns the reports on those that were read to their end.
    """
    found = Verification([])
    try:
        with held():
            for file in [file for path in paths for file in files(path)]:
                checkpoint()
                found.reports.append(verify(file, repairs=repairs, seconds=seconds, strict=strict))
    except KeyboardInterrupt:
        found.interrupted = True
    return found


def files(path: str | Path) -> list[Path]:
    """The documents that a path stands for; a path that is no folder stands for itself."""
    path = Path(path)
    if not path.is_dir():
        return [path]
    found = [file for file in path.rglob("*") if file.suffix in SUFFIXES and file.is_file()]
    return sorted(file for file in found if not any(part.startswith(".") for part in file.relative_to(path).parts))


def report(
    document: Document, repairs: bool | None, limits: Limits, strict: bool = False, memory: Any = None
) -> DocumentReport:
    """The report on a document that was read. memory: judgements of earlier versions, kept by what they depend on."""
    derivation = resolve(document, limits)
    for judge in derivation.all_judges():
        judge.memory = memory
    bound = Bound(derivation.scope.steps)
    try:
        bound = bound_to(derivation.scope, derivation.judge)
    except OutOfTime as error:
        bound.problem = f"the cell {derivation.scope.cell} was not held against the document: {error}"
    findings = [_judged(link, derivation, bound, repairs) for link in derivation.links]
    if derivation.scope.cell and bound.problem:
        place = document.front_source.place(document.front_offset) if document.front_source else None
        assert place is not None
        findings.insert(0, Finding(place, "problem", f"cell: {derivation.scope.cell}", "", "undefined", bound.problem))
    findings.sort(
        key=lambda finding: finding.place[1:] if not finding.place.cell else finding.place[3:] + finding.place[1:3]
    )
    inferred = explained(derivation.book) if derivation.book is not None else ""
    return DocumentReport(document.name, findings, derivation.mentions, strict=strict, inferred=inferred)


# From a link to its finding.


def _judged(link: Link, derivation: Derivation, bound: Bound, repairs: bool | None) -> Finding:
    checkpoint()
    finding = link.finding
    if (finding.verdict and finding.verdict != "shape") or finding.kind in ("goal", "unchecked"):
        return finding
    try:
        if link.defines:
            return _definition(finding, link.defines, bound, derivation.scopes[link.scope])
        if finding.kind == "declaration" or link.left is None or link.right is None:
            return replace(finding, verdict="true") if finding.kind == "declaration" else finding
        if derivation.book is not None:
            finding = judged_openly(link, derivation.book)
        elif finding.verdict != "shape":
            finding = claimed(finding, derivation.judge.claim(link.left, link.right), derivation.scope)
        finding = mixed_products(finding, link, derivation)
        finding = _said_otherwise(finding, link, derivation)
        finding = _evident(finding, link, derivation)
        if finding.verdict in ("false", "shape"):
            finding = _repaired(finding, link, derivation, repairs)
    except Trouble as trouble:
        place = link.span.place_of(trouble.at or link.at) if link.span else finding.place
        return replace(finding, place=place, verdict=trouble.kind, message=trouble.message)
    except OutOfTime as error:
        return replace(finding, verdict=finding.verdict or "cannot tell", message=f"not judged: {error}")
    except RecursionError:
        return replace(finding, verdict="cannot tell", message="not judged: the definitions are nested too deeply")
    return finding


def _said_otherwise(finding: Finding, link: Link, derivation: Derivation) -> Finding:
    """The finding where the sign says more than =, a definition, or less, that two things are nearly equal."""
    assert link.left is not None
    assert link.right is not None
    if finding.verdict == "true":
        return finding
    if link.restates and derivation.book is None:
        message = f"{finding.text.split(':')[0].strip()} is already defined: one symbol means one thing"
        return replace(finding, kind="definition", verdict="syntax", message=message, left=None, right=None)
    if not link.loosely:
        return finding
    rests = _rests_on_derivative(derivation.scopes[link.scope], link.left, link.right)
    message = f"no equation: {said(link.loosely)}"
    return replace(finding, verdict="cannot tell" if rests else ASIDE, message=message, left=None, right=None)


def _evident(finding: Finding, link: Link, derivation: Derivation) -> Finding:
    """The finding with what it proves: whether a derivative is true in it."""
    assert link.left is not None
    assert link.right is not None
    trivial = link.left == link.right or finding.message.startswith(ZERO_NOTE)
    scope = derivation.scopes[link.scope]
    evidence = finding.verdict == "true" and not trivial and _rests_on_derivative(scope, link.left, link.right)
    return replace(finding, evidence=evidence)


def _rests_on_derivative(scope: Scope, *terms: Term) -> bool:
    """Whether a derivative stands in a term, or a symbol that is defined through one."""
    return any(
        isinstance(part, Derivative) or (isinstance(part, Name) and scope.symbols[part.name].kind == "derivative")
        for term in terms
        for part in walk(term)
    )


def _repaired(finding: Finding, link: Link, derivation: Derivation, repairs: bool | None) -> Finding:
    """The finding with a repair, if one is wanted and found."""
    wanted = not finding.expected if repairs is None else repairs
    left, right = link.left, link.right
    if not wanted or left is None or right is None:
        return finding

    def searched() -> Repair | None:
        try:
            return find_repair(derivation.judges[link.scope], left, right)
        except OutOfTime:
            return None

    repair = shielded("repair", searched)
    if isinstance(repair, Fault):
        return replace(finding, message="; ".join(filter(None, (finding.message, repair.said))))
    return replace(finding, repair=repair)


def _definition(finding: Finding, name: str, bound: Bound, scope: Scope) -> Finding:
    found = bound.judgements.get(name)
    if found is None:
        return replace(finding, verdict="true", message="defined")
    return claimed(finding, found, scope, f"what the code's forward gives for {name}")
