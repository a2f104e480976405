"""The same loss in jax.numpy, if the user has one, differentiated by JAX in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradlab.gradients.called import GradientCheckError, call
from gradlab.gradients.conventions import Conventions
from gradlab.gradients.enclosures import chain_rounding
from gradlab.gradients.evidence import Evidence, against, gradient_rounding
from gradlab.gradients.runs import Refused
from gradlab.gradients.subject import Subject

Array = np.ndarray[Any, Any]


def derivatives(subject: Subject, outputs: Array) -> dict[str, Array]:
    """The derivatives of the twin by path, each (K, …).

    Raises:
        GradientCheckError: the twin raises, or is not the loss at this point.
    """
    assert subject.twin is not None
    from gradlab.reference import twin as reference

    jax: Any = vars(reference)["jax"]  # which only the reference imports
    twin = subject.twin

    def work() -> tuple[Any, dict[str, Array]]:
        with jax.enable_x64(True):
            leaves = {path: jax.numpy.asarray(leaf) for path, leaf in subject.wide.leaves.items()}

            def run(given: Any) -> Any:
                return jax.numpy.reshape(twin(subject.params.rebuilt(given)), (-1,))

            values, rows = run(leaves), jax.jacrev(run)(leaves)
            return np.asarray(values), {path: np.asarray(leaf) for path, leaf in rows.items()}

    values, rows = call(twin, subject.seconds, work, name="twin")
    if values.shape != outputs.shape or not np.allclose(values, outputs, rtol=1e-9, atol=1e-300):
        raise GradientCheckError(f"twin gives {values.tolist()} where {subject.loss_name} gives {outputs.tolist()}")
    return rows


def by_twin(
    subject: Subject, found: dict[str, Array], conventions: Conventions, outputs: Array, evidence: Evidence
) -> None:
    """Add what the twin says of a gradient to the evidence.

    Raises:
        GradientCheckError: as `derivatives`.
    """
    values = derivatives(subject, outputs)
    wanted = conventions.applied({path: values[path] for path in found})
    rounding, why = gradient_rounding(subject, found)
    try:
        errors = {path: leaf for path, leaf in chain_rounding(subject).items() if path in found}
    except Refused as refused:
        why = why or str(refused)
        errors = {path: 2.0**-40 * np.abs(leaf) for path, leaf in wanted.items()}
    if why:
        evidence.estimated["twin"] = why
    evidence.add("twin", against(found, rounding, wanted, conventions.widened(errors)))
    evidence.truth = evidence.truth or wanted
