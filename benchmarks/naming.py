"""How many mistakes of the corpus in tests/gradients are named, each in arbitrary NumPy code: class, time, edits tried.

Run it from the repository's root: python benchmarks/naming.py [WORD …], where the words choose rows by their names.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

from gradlab import check_gradient, check_step, check_vjp

ROOT = Path(__file__).parents[1]
SECONDS = 120


def loaded(row: dict[str, Any], path: Path) -> Any:
    """The example with the row's edits made, as a module."""
    source = (ROOT / "examples" / f"{row['file']}.py").read_text()
    for old, new in row["edits"]:
        source = source.replace(old, new)
    path.write_text(source)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def checked(code: Any) -> Any:
    """Its report."""
    if hasattr(code, "vjp"):
        return check_vjp(code.f, code.vjp, code.x, diagnosis=SECONDS)
    if hasattr(code, "forward_step"):
        return check_step(code.forward_step, code.backward_step, code.params, code.x, code.state, diagnosis=SECONDS)
    return check_gradient(code.loss, code.grad, code.params, diagnosis=SECONDS)


def main(words: list[str]) -> None:
    """Print a line for each row, and the totals."""
    corpus = tomllib.loads((ROOT / "tests" / "gradients" / "corpus.toml").read_text())
    totals: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name, row in corpus.items():
            if words and not any(word in name for word in words):
                continue
            report = checked(loaded(row, Path(folder) / f"{name.replace('-', '_')}.py"))
            start = time.process_time()
            found = report.diagnosis
            seconds = time.process_time() - start
            kind = found.kind.key if found is not None and found.kind is not None else None
            outcome = "named" if kind in row["class"] else "unnamed" if kind is None else "MISNAMED"
            totals[outcome] += 1
            tried = found.tried if found is not None else 0
            print(f"{outcome:9}{seconds:6.2f} s {tried:6} edits  {name}: {kind or 'none'}", flush=True)
    print(dict(totals))


if __name__ == "__main__":
    main(sys.argv[1:])
