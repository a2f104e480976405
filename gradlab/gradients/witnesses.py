"""The user's own functions as witnesses that a program is what they compute.

Differences and the complex step along a few directions are held against the enclosures. Where they do not fit, the
program and the functions are asked at points nearby whether they are one: if so, a kink has misled the differences; if
not, what was proven is withdrawn.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.arithmetic.balls import midpoints, precision
from gradlab.arithmetic.floats import FloatArithmetic
from gradlab.checker.verdict import Judged, judge
from gradlab.gradients.differences import Slopes, directions
from gradlab.gradients.imaginary import slopes as complex_slopes
from gradlab.gradients.probe import Probe
from gradlab.gradients.recording import Refused
from gradlab.tape.program import Block
from gradlab.tape.replay import ties

Array = np.ndarray[Any, Any]

# Directions along which they are asked.
WITNESSES = 4
# Distances from the point at which they are asked whether they are one function, if the slopes do not tell.
NEARBY = (1.0, 2.0**-3, 2.0**-6, 2.0**-9, 2.0**-12, 2.0**-16, 2.0**-20)


def ask_witnesses(probe: Probe) -> None:
    """Hold the enclosures against differences in a few directions; withdraw them where they do not fit."""
    evidence = probe.evidence
    probe.measure_noise()
    drawn = directions(probe.subject.point, list(probe.places.values()), probe.rng, WITNESSES)
    seen = probe.differences(list(drawn))
    drawn = drawn[: len(seen.values)]
    probe.along = (drawn, seen)
    if probe.certificate is None:
        _complex(probe, drawn, seen)
        return
    true = _unclipped(probe)
    wanted = probe.projected(true, drawn)
    slack = 2.0**-45 * probe.projected({p: np.abs(leaf) for p, leaf in true.items()}, np.abs(drawn))
    fits = not seen.kinks.any() and not (np.abs(seen.values - wanted) > seen.bounds + slack).any()
    if not fits and not _same_function(probe, drawn):
        probe.withdraw("the recorded program does not compute what the functions do")
    elif not fits:
        evidence.refused["finite_difference"] = "the loss has kinks so near that differences are misled"
    elif probe.conventions.clip is None:
        factor = probe.conventions.factor
        evidence.witnesses["finite_difference"] = _witnessed(probe, drawn, factor * seen.values, factor * seen.bounds)
        _complex(probe, drawn, seen)


def _same_function(probe: Probe, drawn: Array) -> bool:
    """Whether the program gives what the function gives at points nearby, and far enough for it to show.

    Only points to which the program's comparisons still apply can tell.
    """
    assert probe.recorded is not None
    shown = False
    for row in drawn:
        for near in NEARBY:
            point = probe.subject.point + near * row
            value = probe.subject.call(lambda point=point: probe.forward(point))
            replayed = _replayed(probe, point)
            if replayed is None or not np.isfinite(value).all():
                continue
            allowed = 8 * probe.noise + 2.0**-40 * np.abs(value)
            if (np.abs(replayed - value) > allowed).any():
                return False
            shown |= bool((np.abs(value - probe.outputs) > 16 * allowed).any())
    return shown


def _replayed(probe: Probe, point: Array) -> Array | None:
    """The program's outputs at another point, as floats; None where it would have gone another way."""
    assert probe.recorded is not None
    places, program = probe.subject.places(), probe.recorded.program
    leaves = {
        int(index.min()): point[places[path]].reshape(index.shape) for path, index in probe.recorded.leaves.items()
    }

    def moved(block: Block, values: Array) -> Array | None:
        return leaves[block.start][None] if block.start in leaves else None

    nodes, guards = probe.recorded.loss
    with np.errstate(all="ignore"):
        run = probe.recorded.replayed(FloatArithmetic(), leaves=moved, length=nodes)
        if ties(run, program.guards[:guards]):
            return None
        return np.asarray(run.numbers(probe.recorded.outputs))


def _witnessed(probe: Probe, rows: Array, slopes: Array, errors: Array) -> Judged:
    """The gradient's slopes along the rows, against an oracle's."""
    rounding = probe.projected({p: probe.grain * np.abs(g) for p, g in probe.found.items()}, np.abs(rows))
    return judge(probe.projected(probe.found, rows), rounding, slopes, np.abs(errors))


def _complex(probe: Probe, rows: Array, seen: Slopes) -> None:
    """Whether the complex step applies; its slopes as one more witness where balls have said everything."""
    refused = probe.evidence.refused
    if not len(rows):
        refused["complex_step"] = "there was no time for it (seconds=…)"
        return
    try:
        slope = complex_slopes(probe.subject, list(rows), probe.outputs, probe.noise)
    except Refused as why:
        refused["complex_step"] = str(why)
        return
    if (np.abs(slope - seen.values) > seen.bounds + 1e-9 * np.abs(slope)).any():
        refused["complex_step"] = "finite differences contradict it: abs, max, conj or a cast breaks it"
    elif probe.certificate is not None:
        true = probe.conventions.factor * slope
        probe.evidence.witnesses["complex_step"] = _witnessed(probe, rows, true, probe.grain * np.abs(true))


def _unclipped(probe: Probe) -> dict[str, Array]:
    """The certified derivatives without conventions, which differences know nothing of."""
    assert probe.certificate is not None
    with precision(probe.certificate.enclosures.bits):
        return {path: midpoints(leaf) for path, leaf in probe.certificate.enclosures.unclipped.items()}
