"""A document that is judged again and again while it is written: only what changed is computed.

What a claim is judged by is its two sides, its conditions, and the symbols and sizes of its scope. Where none of these
changed, the judgement of last time holds, and is looked up. The memory of judgements is bounded; work on a version that
a newer one has overtaken is dropped.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradlab.interrupts import checkpoint
from gradlab.verifier.document import read, read_text
from gradlab.verifier.limits import SECONDS, Limits, OutOfTime
from gradlab.verifier.report import DocumentReport
from gradlab.verifier.verify import report

MOST_KEPT = 4_096
PAUSE = 0.2


class Memory:
    """The judgements of claims by what they depend on; the oldest are forgotten first."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self.most, self.hits = most, 0
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def found(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What is kept under a key, or what `compute` gives, which is kept from then on."""
        if key in self._kept:
            self.hits += 1
            self._kept.move_to_end(key)
            return self._kept[key]
        value = compute()
        self._kept[key] = value
        while len(self._kept) > self.most:
            self._kept.popitem(last=False)
        return value


class Session:
    """Judges the versions of one document, or of several. It may be used from several threads.

    Args:
        seconds: of processor time for one version.
        most: how many judgements are kept.
    """

    def __init__(self, seconds: float = SECONDS, most: int = MOST_KEPT) -> None:
        self.seconds = seconds
        self.memory = Memory(most)
        self._lock = threading.Lock()
        self._running: Limits | None = None

    def judge(self, text: str, name: str = "<text>", repairs: bool | None = None) -> DocumentReport | None:
        """The report on a version of a document in Markdown; None where a newer call overtook this one."""
        return self._judged(lambda limits: read_text(text, name, limits), repairs)

    def judge_file(self, path: str | Path, repairs: bool | None = None) -> DocumentReport | None:
        """The report on a file as it is now; None where a newer call overtook this one."""
        return self._judged(lambda limits: read(path, limits), repairs)

    def _judged(self, load: Callable[[Limits], Any], repairs: bool | None) -> DocumentReport | None:
        limits = Limits(self.seconds)
        running, self._running = self._running, limits
        if running is not None:
            running.overtaken = True
        with self._lock:
            if limits.overtaken:
                return None
            try:
                limits.restart(self.seconds)
                found = report(load(limits), repairs, limits, memory=self.memory)
            except OutOfTime:
                return None
            finally:
                if self._running is limits:
                    self._running = None
        return None if limits.overtaken else found


def watch(path: str | Path, show: Callable[[DocumentReport], bool], repairs: bool | None = None) -> None:
    """Judge a file whenever it changes, and show each report, until `show` returns False.

    Raises:
        KeyboardInterrupt: Ctrl-C.
    """
    session, path, seen = Session(), Path(path), None
    while True:
        checkpoint()
        now = _stamp(path)
        if now != seen:
            seen = now
            found = session.judge_file(path, repairs)
            if found is not None and not show(found):
                return
        time.sleep(PAUSE)


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size
