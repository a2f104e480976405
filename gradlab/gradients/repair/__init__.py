"""The change of one line that makes a wrong gradient right: a search over the lines where it leaves the truth.

Every edit runs in a copy that no other trial sees, nor the user; what floats accept is put before the oracle at every
probe.
"""

from gradlab.gradients.repair.line import Mended, Repair, mended
from gradlab.gradients.repair.probes import Probes

__all__ = ["Mended", "Probes", "Repair", "mended"]
