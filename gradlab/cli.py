"""The command line: reads arguments, calls the library, prints, and says 0, 1, 2 or 3.

0 all agree, 1 something disagrees, 2 bad input or usage in one line on stderr, 3 cannot tell.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gradlab.checker.check import Progress

app = typer.Typer(
    help="Is this hand-derived recurrent gradient right, and if not: which equation, at which time step, what mistake?",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

BAD_INPUT = 2

CellOption = Annotated[str, typer.Option(help="rnn, or all.", metavar="CELL")]
SeedOption = Annotated[int, typer.Option(help="The same seed, the same problems.", min=0)]
JsonOption = Annotated[Path | None, typer.Option("--json", help="Write the result here as JSON.", metavar="OUT")]


class BadInput(Exception):
    """What the user gave cannot be used; the message is the one line to say so."""


@app.command()
def check(
    file: Annotated[Path | None, typer.Argument(help="Your own forward, loss and bptt; without it, gradlab's.")] = None,
    cell: CellOption = "",
    examples: Annotated[int, typer.Option(help="How many problems to generate.", min=1)] = 100,
    seed: SeedOption = 0,
    seconds: Annotated[float, typer.Option(help="Time limit of one call of FILE.", min=0.001)] = 10.0,
    json: JsonOption = None,
) -> int:
    """Hold a hand-written gradient against every oracle on generated problems."""
    with _output(json) as write, _progress("checking") as progress:
        from gradlab.checker.check import check as run

        name = cell or ("rnn" if file else "all")
        report = run(name, code=file, examples=examples, seed=seed, seconds=seconds, progress=progress)
        write(report)
    return report.verdict.exit_status


@app.command()
def compare(
    cell: CellOption = "rnn",
    bits: Annotated[int, typer.Option(help="Steps: the width of the binary addition.", min=1, max=62)] = 8,
    hidden: Annotated[int, typer.Option(help="Hidden units.", min=1)] = 16,
    batch: Annotated[int, typer.Option(help="Additions at once.", min=1)] = 1,
    seed: SeedOption = 0,
    weights: Annotated[Path | None, typer.Option(help="Weights saved by train.", metavar="RUN.NPZ")] = None,
    json: JsonOption = None,
) -> int:
    """Show every quantity of one binary addition beside every oracle's, with the digits of agreement."""
    with _output(json) as write:
        import numpy as np

        from gradlab.addition import data
        from gradlab.checker.check import compare as run

        params = None if weights is None else _trained(weights, cell)
        problem = data.problem(np.random.default_rng(seed), bits, hidden, cell, batch=batch, params=params)
        comparison = run(cell, problem)
        write(comparison)
    return comparison.verdict.exit_status


def _trained(path: Path, cell: str) -> Any:
    from gradlab.addition.train import load

    run = load(path)
    if run.settings.cell != cell:
        raise BadInput(f"{path} holds a trained {run.settings.cell}, not a {cell}: name it with --cell")
    return run.params


@contextmanager
def _output(json: Path | None) -> Iterator[Any]:
    """Gives the function that prints a result and writes its JSON; a place it cannot be written to is said first."""
    from gradlab.files import check_writable, write_json

    if json is not None:
        check_writable(json)

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
    try:
        status = app(standalone_mode=False)
    except KeyboardInterrupt:
        print("gradlab: interrupted", file=sys.stderr)
        status = 130
    except Exception as error:
        line = _said(error)
        if line is None:
            raise
        print(f"gradlab: {line}", file=sys.stderr)
        status = BAD_INPUT
    sys.exit(status or 0)


def _said(error: Exception) -> str | None:
    """The one line that tells a user of a mistake of theirs; None for a defect of ours, which keeps its traceback."""
    if hasattr(error, "format_message"):  # the usage errors of the command-line library
        return " ".join(str(error.format_message()).split())
    if isinstance(error, KeyError):
        return str(error.args[0])
    from gradlab.checker.watch import SubmissionError

    if isinstance(error, BadInput | SubmissionError | ValueError | OSError):
        return " ".join(str(error).split())
    return None
