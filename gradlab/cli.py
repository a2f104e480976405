"""The command line: reads arguments, calls the library, prints, and says 0, 1, 2 or 3.

0 all agree, 1 something disagrees, 2 bad input or usage in one line on stderr, 3 cannot tell.
"""

from __future__ import annotations

import io
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from gradlab.interrupts import held

try:
    import typer
except KeyboardInterrupt:
    print("gradlab: interrupted", file=sys.stderr)
    sys.exit(130)

if TYPE_CHECKING:
    from gradlab.checker.check import Progress
    from gradlab.problem import Problem

app = typer.Typer(
    help="Is this hand-derived recurrent gradient right, and if not: which equation, at which time step, what mistake?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

BAD_INPUT = 2
INTERRUPTED = 130

CellOption = Annotated[str, typer.Option(help="rnn, rtrl, lstm, gru, or a file of yours: mycell.py", metavar="CELL")]
SeedOption = Annotated[int, typer.Option(help="The same seed, the same problems.", min=0)]
BitsOption = Annotated[int, typer.Option(help="Steps: the width of the binary addition.", min=1, max=62)]
HiddenOption = Annotated[int, typer.Option(help="Hidden units.", min=1)]
WeightsOption = Annotated[Path | None, typer.Option(help="Weights saved by train.", metavar="RUN.NPZ")]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the result here as JSON.", metavar="OUT")]


class BadInput(Exception):
    """What the user gave cannot be used; the message is the one line to say so."""


@app.command()
def check(
    file: Annotated[
        Path | None, typer.Argument(help="Your forward, loss, bptt (rtrl), a lesson, or a folder of them.")
    ] = None,
    cell: Annotated[
        str | None,
        typer.Option(help="rnn, rtrl, lstm, gru, mycell.py, or all. [default: what FILE says, or rnn]", metavar="CELL"),
    ] = None,
    examples: Annotated[int, typer.Option(help="How many problems to generate.", min=1)] = 100,
    seed: Annotated[
        int | None, typer.Option(help="The same seed, the same problems. [default: 0; FILE's own: another]", min=0)
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time limit of one call of FILE.", min=0.001)] = 10.0,
    hint: Annotated[bool, typer.Option("--hint", help="Name the mistake, keep the correction back.")] = False,
    trust: Annotated[bool, typer.Option("--trust", help="Run FILE in this process: faster, not contained.")] = False,
    allow_unconfined: Annotated[
        bool, typer.Option("--allow-unconfined", help="Run a folder where the system cannot contain its files.")
    ] = False,
    points: Annotated[
        list[str] | None, typer.Option(help="What an equation is worth. [default: 1]", metavar="LABEL=N")
    ] = None,
    csv: Annotated[Path | None, typer.Option(help="For a folder: the table as CSV.", metavar="OUT")] = None,
    feedback: Annotated[Path | None, typer.Option(help="For a folder: a page a student.", metavar="DIR")] = None,
    gradescope: Annotated[
        Path | None, typer.Option(help="Write what Gradescope reads here.", metavar="RESULTS.JSON")
    ] = None,
    json: JsonOption = None,
) -> int:
    """Check a hand-written gradient against four oracles."""
    folder = file is not None and file.is_dir()
    for option, given in (("--csv", csv), ("--feedback", feedback)):
        if given is not None and not folder:
            raise BadInput(f"{option}: only a folder has a class to write of; name one")
    if gradescope is not None and (file is None or folder or trust):
        raise BadInput("--gradescope: only a file has a result to write; name one, without --trust")
    with _output(json, csv, gradescope) as write, _progress("checking") as progress:
        if file is not None and not trust:
            if cell == "all":
                raise BadInput("one file holds one cell: name it with --cell")
            with held():
                from gradlab.classroom.session import Session

            session = Session(
                file, cell, examples, seed, seconds, hint, allow_unconfined, tuple(points or ()), progress
            )
            report = session.run()
            if warning := session.warning:
                print(f"gradlab: {warning}", file=sys.stderr)
        else:
            with held():  # an import that is interrupted may swallow that, or crash
                from gradlab.lab import check as run

            options: dict[str, Any] = {"examples": examples, "seed": seed or 0, "seconds": seconds}
            report = run(cell or "rnn", code=file, hint=hint, progress=progress, **options)
        write(report)
        if csv is not None:
            report.write_csv(csv)
        if feedback is not None:
            report.write_feedback(feedback)
        if gradescope is not None:
            session.write_gradescope(gradescope)
    return int(report.verdict.exit_status)


@app.command()
def exercise(
    cell: Annotated[str, typer.Argument(help="rnn, rtrl, lstm, gru, or a file of yours: mycell.py")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="lesson.py, or a notebook: .ipynb", metavar="FILE")
    ] = None,
    derivation: Annotated[bool, typer.Option("--derivation", help="The lesson in LaTeX, for verify.")] = False,
) -> int:
    """Write a lesson: every backward equation a blank."""
    from gradlab.classroom.exercise import write_lesson
    from gradlab.classroom.lesson_forms import write_derivation, write_notebook
    from gradlab.files import check_writable, write_bytes

    out = out or Path("lesson.md" if derivation else "lesson.py")
    kinds = {".md": write_derivation} if derivation else {".py": write_lesson, ".ipynb": write_notebook}
    if out.suffix not in kinds:
        raise BadInput(f"{out}: a lesson{' in LaTeX' if derivation else ''} ends in {' or '.join(kinds)}")
    check_writable(out)
    if out.exists():
        raise BadInput(f"{out}: exists already; name another with -o")
    try:
        text = kinds[out.suffix](cell, out.name)
    except LookupError as error:
        raise BadInput(str(error)) from None
    write_bytes(out, text.encode())
    print(out)
    return 0


@app.command()
def compare(
    cell: CellOption = "rnn",
    bits: BitsOption = 8,
    hidden: HiddenOption = 16,
    batch: Annotated[int, typer.Option(help="Additions at once.", min=1)] = 1,
    seed: SeedOption = 0,
    weights: WeightsOption = None,
    trace: Annotated[bool, typer.Option("--trace", help="Also every value of every layer, step by step.")] = False,
    json: JsonOption = None,
) -> int:
    """One addition: every quantity beside every oracle's."""
    with _output(json) as write:
        with held():
            from gradlab.checker.check import compare as run

        comparison = run(cell, _addition(cell, bits, hidden, batch, seed, weights))
        if trace:
            from gradlab.checker.render import trace as layers

            print(layers(comparison))
        write(comparison)
    return comparison.verdict.exit_status


@app.command()
def mistakes(
    cell: CellOption = "rnn",
    score: Annotated[bool, typer.Option("--score", help="How many mistakes would the checker miss?")] = False,
    seed: SeedOption = 0,
    jobs: Annotated[int | None, typer.Option(help="Processes for --score. [default: all cores]", min=1)] = None,
    json: JsonOption = None,
) -> int:
    """List the mistakes known, or count those that slip by."""
    with _output(json) as write, _progress("score:") as progress:
        from gradlab import mistakes as known
        from gradlab.cells import cell as registered
        from gradlab.mistakes.workers import WorkerError, processors

        if not score:
            write(known.Catalogue(registered(cell).name))
            return 0
        try:
            found = known.score(cell, seed=seed, jobs=jobs or processors(), progress=progress)
        except WorkerError as error:
            raise BadInput(str(error)) from None
        write(found)
    if found.flawed:
        return 1
    return 3 if found.interrupted else 0


@app.command()
def verify(
    paths: Annotated[list[Path], typer.Argument(help="Markdown files, notebooks, or folders of them.")],
    hint: Annotated[bool, typer.Option("--hint", help="Say what kind of mistake it is.")] = False,
    reveal: Annotated[bool, typer.Option("--reveal", help="Say what would make it true.")] = False,
    strict: Annotated[
        bool, typer.Option("--strict", help="Let nothing be set aside: expect, unchecked, goals.")
    ] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show what was inferred, as front matter.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Judge one file again whenever it changes.")] = False,
    json: JsonOption = None,
) -> int:
    """Judge every equation of a derivation."""
    from gradlab.files import check_writable, write_json

    with held():
        from gradlab.verifier import verify_paths
    if watch:
        return _watch(paths, hint, reveal, explain)

    if json is not None:
        check_writable(json)
    found = verify_paths(paths, repairs=True if hint or reveal else None, strict=strict)
    print(found.text(hint=hint, reveal=reveal, explain=explain))
    if json is not None:
        write_json(json, found.to_json())
    return found.exit_status


def _watch(paths: list[Path], hint: bool, reveal: bool, explain: bool) -> int:
    """Show the report on a file whenever it changes, until Ctrl-C."""
    from gradlab.verifier.session import watch as run

    if len(paths) != 1 or not paths[0].is_file():
        raise BadInput("--watch: name one file")

    def show(report: Any) -> bool:
        print(report.text(hint=hint, reveal=reveal, explain=explain), flush=True)
        return True

    run(paths[0], show, repairs=True if hint or reveal else None)
    return 0


@app.command()
def train(
    cell: Annotated[str | None, typer.Option(help="[default: rnn]", metavar="CELL")] = None,
    bits: Annotated[int | None, typer.Option(help="Width of the sums. [default: 8]")] = None,
    hidden: Annotated[int | None, typer.Option(help="Hidden units. [default: 16]")] = None,
    epochs: Annotated[int | None, typer.Option(help="Steps at most. [default: 10000]")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate. [default: 0.1]")] = None,
    batch: Annotated[int | None, typer.Option(help="Pairs a step. [default: 1]")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed, the same run. [default: 0]")] = None,
    init: Annotated[str | None, typer.Option(help="uniform or normal weights. [default: uniform]")] = None,
    stop: Annotated[str | None, typer.Option(help="wide, exact or never: when to stop early. [default: wide]")] = None,
    check_every: Annotated[int, typer.Option(help="Hold the live gradient against the oracles.", min=0)] = 0,
    report_every: Annotated[int, typer.Option(help="Steps between printed reports.", min=1)] = 1000,
    carry: Annotated[bool, typer.Option("--carry", help="Probe the hidden state for the carry bit.")] = False,
    save: Annotated[Path | None, typer.Option(help="Keep the run here.", metavar="RUN.NPZ")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run saved there.")] = False,
    json: JsonOption = None,
) -> int:
    """Train a network to add, on the hand-written gradient."""
    with held():
        from gradlab.addition.session import Session

    names = ("cell", "bits", "hidden", "epochs", "rate", "batch", "seed", "init", "stop")
    given = {name: value for name, value in locals().items() if name in names and value is not None}
    with _output(json) as write, _progress("training") as progress:
        session = Session.begin(given, save, resume)
        session.run(_live_check if check_every else None, check_every, report_every, progress, print)
        if carry:
            print(session.probed())
        write(session)
    return session.exit_status


def _live_check(problem: Problem, cell: str) -> bool:
    from gradlab.checker.check import compare as run
    from gradlab.checker.verdict import Verdict

    return run(cell, problem).verdict is not Verdict.DISAGREE


@app.command(context_settings={"ignore_unknown_options": True})  # -1 is a number that cannot be added, and no option
def add(
    a: Annotated[str, typer.Argument(help="A whole number, or bits written 0b1011.")],
    b: Annotated[str, typer.Argument(help="Another.")],
    weights: Annotated[Path, typer.Option(help="A run saved by train.", metavar="RUN.NPZ")],
) -> int:
    """Let a trained network add two numbers, bit by bit."""
    from gradlab.addition.train import load

    total = load(weights).add(_whole(a), _whole(b))
    print(total)
    return 0 if total.right else 1


def _whole(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise BadInput(f"{text!r} is no whole number: wanted digits, or bits written 0b1011") from None


@app.command()
def draw(
    what: Annotated[str, typer.Argument(help="network, unrolled, addition or credit.")],
    out: Annotated[Path | None, typer.Option("-o", "--out", help=".png, .svg or .gif", metavar="FILE")] = None,
    cell: CellOption = "rnn",
    bits: BitsOption = 8,
    hidden: HiddenOption = 16,
    seed: SeedOption = 0,
    weights: WeightsOption = None,
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
) -> int:
    """Draw a network, its unrolling, an addition, the credit."""
    with held():
        from gradlab import figures

    if what not in ("network", "unrolled", "addition", "credit"):
        raise BadInput(f"cannot draw {what!r}: wanted network, unrolled, addition or credit")
    problem = _addition(cell, bits, hidden, 1, seed, weights)
    try:
        with held():  # Matplotlib's callbacks lose an interrupt
            if what == "addition":
                from gradlab.addition.data import decode

                a, b = (int(decode(problem.x[:, 0, i])) for i in (0, 1))
                drawn: Any = figures.addition(a, b, bits=bits, params=problem.params, cell=cell, theme=theme)
            else:
                drawn = getattr(figures, what)(problem, theme=theme)
            path = figures.save(drawn, out or Path(f"{what}.{'gif' if what == 'addition' else 'png'}"))
    except figures.FigureError as error:
        raise BadInput(str(error)) from None
    print(path)
    return 0


def _addition(cell: str, bits: int, hidden: int, batch: int, seed: int, weights: Path | None) -> Problem:
    """A random binary addition, on random weights or on trained ones."""
    import numpy as np

    from gradlab.addition import data
    from gradlab.addition.train import load

    params = None
    if weights is not None:
        run = load(weights)
        if run.settings.cell != cell:
            raise BadInput(f"{weights} holds a trained {run.settings.cell}, not a {cell}: name it with --cell")
        params = run.params
    return data.problem(np.random.default_rng(seed), bits, hidden, cell, batch=batch, params=params)


@contextmanager
def _output(*places: Path | None) -> Iterator[Any]:
    """Gives the function that prints a result and writes its JSON to the first place; one that cannot be written to
    is said before any work is done."""
    from gradlab.files import check_writable, write_json

    for place in filter(None, places):
        check_writable(place)
    json = places[0]

    def write(result: Any) -> None:
        from rich.console import Console

        Console(highlight=False, width=None if sys.stdout.isatty() else 100).print(result)
        if json is not None:
            write_json(json, result.to_json())

    yield write


@contextmanager
def _progress(what: str) -> Iterator[Progress | None]:
    """A live bar on stderr, where somebody watches."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what)
        yield lambda name, done, total: bar.update(task, description=f"{what} {name}", completed=done, total=total)


def main() -> None:
    """The console script `gradlab`."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal without Unicode gets question marks, not a traceback
    try:
        with _ended_like_ctrl_c():
            status = app(standalone_mode=False)
    except KeyboardInterrupt:
        status = INTERRUPTED
    except Exception as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            print(error.format_message())  # type: ignore[attr-defined]
            sys.exit(BAD_INPUT)
        line = _said(error)
        if line is None:
            raise
        print(f"gradlab: {line}", file=sys.stderr)
        status = BAD_INPUT
    if status == INTERRUPTED:
        print("gradlab: interrupted", file=sys.stderr)
    sys.exit(status or 0)


@contextmanager
def _ended_like_ctrl_c() -> Iterator[None]:
    """A SIGTERM, or a terminal that is closed, stops the work as Ctrl-C does: children end, temporary files go."""
    asked = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in asked}
    for number, handler in before.items():
        if handler is signal.SIG_DFL:
            signal.signal(number, signal.default_int_handler)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _said(error: Exception) -> str | None:
    """The one line that tells a user of a mistake of theirs; None for a defect of ours, which keeps its traceback."""
    if hasattr(error, "format_message"):  # the usage errors of the command-line library
        return _one_line(error.format_message())
    from gradlab.addition.data import AdditionError
    from gradlab.addition.run_file import RunFileError
    from gradlab.cells import CellError, UnknownName
    from gradlab.checker.watch import SubmissionError
    from gradlab.problem import ProblemError

    if isinstance(error, OSError) and error.filename is not None:
        return _one_line(f"{error.filename}: {error.strerror}")
    theirs = BadInput | SubmissionError | ProblemError | AdditionError | RunFileError | OSError
    if isinstance(error, theirs | CellError | UnknownName):
        return _one_line(str(error))
    return None


def _one_line(text: str) -> str:
    """Nothing that would move a terminal's cursor: a file may be called anything."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
