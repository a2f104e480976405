"""Pages for a class: one for each student, and one of them all. What is right, what is wrong, a hint; never the key."""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gradlab.classroom.lesson import Grade, Status
from gradlab.files import write_bytes

if TYPE_CHECKING:
    from gradlab.classroom.class_report import FolderReport
    from gradlab.classroom.row import Row

MARKS = {Status.RIGHT: "✓", Status.WRONG: "✗", Status.NOT_DONE: "–", Status.NOT_REACHED: "…", Status.CANNOT_TELL: "?"}

_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
:root {{ --ink: #1d2530; --soft: #5a6675; --paper: #fff; --line: #d8dee6; --right: #12703a; --wrong: #b3261e;
  --part: #8a5a00; --bar: #c3d4ee; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e5e9ef; --soft: #a4afbd; --paper: #14181d; --line: #323a45;
  --right: #6fd398; --wrong: #ff8f86; --part: #f0bd5c; --bar: #31486e; }} }}
body {{ font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
  margin: 0 auto; padding: 1.5rem 1rem 3rem; }}
h1 {{ font-size: 1.4rem; margin: 0; overflow-wrap: anywhere; }} h2 {{ font-size: 1.1rem; margin: 2rem 0 .5rem; }}
p {{ margin: .5rem 0; overflow-wrap: anywhere; }} .soft {{ color: var(--soft); }}
.wide {{ overflow-x: auto; }} table {{ border-collapse: collapse; width: 100%; }}
th, td {{ text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-bottom: 1px solid var(--line); }}
th {{ font-weight: 600; }} td.n, th.n {{ text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }}
td.said {{ min-width: 14rem; }} .said {{ overflow-wrap: anywhere; }} .mark, .label {{ white-space: nowrap; }}
code {{ font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }} a {{ color: inherit; }}
.right {{ color: var(--right); }} .wrong {{ color: var(--wrong); }} .part {{ color: var(--part); }}
.bar {{ background: var(--bar); height: .7rem; border-radius: .2rem; min-width: 1px; }}
.score {{ font-size: 1.6rem; font-weight: 600; margin: .8rem 0; }}
</style>
<body>
{body}
</body>
</html>
"""
_STYLE = {Status.RIGHT: "right", Status.WRONG: "wrong"}


def sentence(grade: Grade) -> str:
    """What may be said of an equation that is not right, in a sentence."""
    if grade.status is Status.RIGHT:
        return ""
    if grade.status is not Status.WRONG:
        return f"{grade.status.capitalize()}{': ' + grade.note if grade.note else ''}."
    why = "; ".join(filter(None, (grade.note, grade.kind)))
    return f"Wrong{_where(grade)}{': ' + why if why else ''}".rstrip("?") + ("?" if why.endswith("?") else ".")


def _where(grade: Grade) -> str:
    if not grade.steps:
        return ""
    if len(grade.steps) == grade.of:
        return " at every step"
    steps = ", ".join(map(str, grade.steps))
    return f" at step{'s' if len(grade.steps) > 1 else ''} {steps} of 0 to {grade.of - 1}"


def student_page(row: Row) -> str:
    """A file's page."""
    body = [f"<h1>{_text(row.student)}</h1>", f'<p class="soft"><code>{_text(row.file)}</code></p>']
    body.append(f'<p class="score">{row.score or 0:g} of {row.out_of or 0:g} points</p>')
    body += [f"<p>{_text(line)}</p>" for line in _said(row)]
    if row.grades:
        body += ["<h2>Equation by equation</h2>", _equations(row.grades)]
        body.append('<p class="soft">Each equation is judged with everything else right: a wrong one costs itself.</p>')
    if row.seed is not None:
        body.append(f'<p class="soft">Judged on problems of its own, from seed {row.seed}.</p>')
    return _PAGE.format(title=_text(row.student), body="\n".join(body))


def _said(row: Row) -> list[str]:
    """What is to be said of the file as a whole."""
    lines = []
    if row.verdict == "refused":
        lines.append(f"The file could not be run as it is: {row.note}.")
    elif row.verdict == "agree":
        lines.append("The gradient is right: it agrees with proofs and with problems that nobody could foresee.")
    elif row.lesson and row.note and not row.first_wrong:
        lines.append(f"Every equation is right, but the gradient made of them is not: {row.note}.")
    return [*lines, *(f"To be looked at: {note}." for note in row.notes)]


def _equations(grades: Sequence[Grade]) -> str:
    rows = []
    for grade in grades:
        mark = f'<span class="{_STYLE.get(grade.status, "part")}">{MARKS[grade.status]} {grade.status}</span>'
        points = f"{grade.points:g} / {grade.out_of:g}"
        said = f'<div class="said">{_text(sentence(grade))}</div>'
        rows.append(
            f'<tr><td><code class="label">{_text(grade.label)}</code>{said}</td>'
            f'<td class="mark">{mark}</td><td class="n">{points}</td></tr>'
        )
    head = '<tr><th>equation</th><th></th><th class="n">points</th></tr>'
    return f'<div class="wide"><table>{head}{"".join(rows)}</table></div>'


def class_page(report: FolderReport, pages: dict[str, str]) -> str:
    """The page of the whole class: each file, which equations are wrong how often, and which mistakes.

    Args:
        pages: the page of each file, by the file.
    """
    judged = report.judged
    scores = sorted(row.score / row.out_of for row in judged if row.score is not None and row.out_of)
    middle = scores[len(scores) // 2] if scores else 0.0
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts().items() if count)
    body = [f"<h1>{_text(Path(report.folder).name)}</h1>", f"<p>{len(report.rows)} files: {counts}.</p>"]
    body.append(f'<p class="score">Median {100 * middle:.0f}% of the points</p>')
    body += ["<h2>Equations</h2>", _by_equation(report)]
    mistakes = Counter(name for row in judged for name in row.diagnosis)
    if mistakes:
        body += ["<h2>Mistakes</h2>", _bars("mistake", mistakes.most_common(), max(mistakes.values()))]
    body += ["<h2>Files</h2>", _files(report, pages)]
    body.append(f'<p class="soft">Seed {report.seed}: with it the same problems are drawn again.</p>')
    return _PAGE.format(title=_text(Path(report.folder).name), body="\n".join(body))


def _by_equation(report: FolderReport) -> str:
    counted: dict[str, Counter[Status]] = {label: Counter() for label in report.labels}
    for row in report.rows:
        for grade in row.grades:
            counted[grade.label][grade.status] += 1
    head = "".join(f'<th class="n">{status}</th>' for status in Status)
    lines = [
        f'<tr><td><code class="label">{_text(label)}</code></td>'
        + "".join(f'<td class="n">{found[status] or ""}</td>' for status in Status)
        + "</tr>"
        for label, found in counted.items()
    ]
    return f'<div class="wide"><table><tr><th>equation</th>{head}</tr>{"".join(lines)}</table></div>'


def _bars(what: str, counts: Sequence[tuple[str, int]], most: int) -> str:
    lines = [
        f'<tr><td><code>{_text(name)}</code></td><td class="n">{count}</td>'
        f'<td style="width:40%"><div class="bar" style="width:{100 * count / most:.0f}%"></div></td></tr>'
        for name, count in counts
    ]
    head = f'<tr><th>{what}</th><th class="n">files</th><th></th></tr>'
    return f'<div class="wide"><table>{head}{"".join(lines)}</table></div>'


def _files(report: FolderReport, pages: dict[str, str]) -> str:
    lines = []
    for row in report.rows:
        name = f"<code>{_text(row.file)}</code>"
        link = f'<a href="{_text(pages[row.file])}">{name}</a>' if row.file in pages else name
        points = "" if row.score is None else f"{row.score:g} / {row.out_of:g}"
        style = {"agree": "right", "disagree": "wrong"}.get(row.verdict, "part")
        said = "; ".join(filter(None, (row.first_wrong, *row.diagnosis, row.note, *row.notes)))
        lines.append(
            f'<tr><td>{link}</td><td class="{style}">{row.verdict}</td><td class="n">{points}</td>'
            f'<td class="said">{_text(said)}</td></tr>'
        )
    head = '<tr><th>file</th><th></th><th class="n">points</th><th></th></tr>'
    return f'<div class="wide"><table>{head}{"".join(lines)}</table></div>'


def write_pages(report: FolderReport, folder: Path) -> list[Path]:
    """Write the page of each submission, and index.html of them all; the folder is made where there is none.

    Raises:
        OSError: it cannot be written to.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pages: dict[str, str] = {}
    for row in report.judged:
        pages[row.file] = _name(row.file, pages)
    written = []
    contents: dict[str, Any] = {pages[row.file]: student_page(row) for row in report.judged}
    for name, text in (contents | {"index.html": class_page(report, pages)}).items():
        write_bytes(folder / name, text.encode(errors="xmlcharrefreplace"))
        written.append(folder / name)
    return written


def _name(file: str, taken: dict[str, str]) -> str:
    """A file's page: its path in letters that every system and every address knows, none twice."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "_", file).strip("._")[:100] or "file"
    number, found = 1, f"{plain}.html"
    while found in {*taken.values(), "index.html"}:
        number += 1
        found = f"{plain}_{number}.html"
    return found


def _text(text: str) -> str:
    plain = "".join(c if c.isprintable() else "?" for c in text)
    return html.escape(plain.encode(errors="replace").decode())
