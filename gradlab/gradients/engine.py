"""What every oracle that applies says of a subject at one point.

Subject, program, replays, verdict: the loss and the gradient are recorded (`recording`), the program is replayed on
balls (`certificate`) and on error bounds (`rounding`), and the user's own functions bear witness that the program is
what they compute (`witnesses`). Where there is no proof, differences are taken by every coordinate (`coordinates`).
"""

from __future__ import annotations

from gradlab.gradients.coordinates import every_coordinate
from gradlab.gradients.evidence import Evidence, against
from gradlab.gradients.probe import Probe
from gradlab.gradients.twin import derivatives
from gradlab.gradients.witnesses import ask_witnesses


def ask_all(probe: Probe) -> Evidence:
    """Ask every oracle that applies.

    Raises:
        GradientCheckError: a twin that raises, or is not the loss at this point.
    """
    probe.certify()
    ask_witnesses(probe)
    if not probe.evidence.is_certified:
        every_coordinate(probe)
    if probe.subject.twin is not None:
        ask_twin(probe)
    return probe.evidence


def ask_twin(probe: Probe) -> None:
    """What the same loss in jax.numpy says.

    Raises:
        GradientCheckError: the twin raises, or is not the loss at this point.
    """
    values = derivatives(probe.subject, probe.outputs)
    wanted = probe.conventions.applied({path: values[path] for path in probe.found})
    rounding, why = probe.rounding()
    errors, unknown = probe.chain(wanted)
    if why or unknown:
        probe.evidence.estimated["twin"] = why or unknown or ""
    probe.evidence.add("twin", against(probe.found, rounding, wanted, probe.conventions.widened(errors)))
    probe.evidence.truth = probe.evidence.truth or wanted
