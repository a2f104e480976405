"""Every two mistakes that change different equations, planted together and diagnosed: a script, minutes long.

    python tests/mistakes/every_pair.py [CELL] [deltas|gradients] [COUNT]

From deltas, or from gradients alone; all pairs, or COUNT of them at even distances. It
ends with status 1 if any pair is misnamed or not named.
"""

from __future__ import annotations

import sys

from gradlab.cells import cell
from gradlab.mistakes.catalogue import mistakes
from gradlab.mistakes.naming import Naming, plant, sampled
from gradlab.mistakes.probes import probes


def main(name: str = "rnn", what: str = "deltas", count: str = "") -> int:
    tally, tested = Naming(), cell(name)
    for i, two in enumerate(sampled(mistakes(name), int(count) if count else None), start=1):
        plant(tested, two, probes(tested), tally, deltas=what != "gradients")
        if i % 1000 == 0:
            sys.stderr.write(f"{i} pairs\n")
    sys.stdout.write(f"{name}, {what}: {tally.total} pairs, {tally.right} named, {tally.undecided} undecided, ")
    sys.stdout.write(f"{tally.unnamed} unnamed, {len(tally.wrong)} misnamed, ")
    sys.stdout.write(f"{tally.refused} do not run, {tally.cancelled} cancel out\n")
    sys.stdout.writelines(f"  {one}\n" for one in tally.wrong)
    return int(bool(tally.wrong or tally.unnamed))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
