"""What is wrong with a wrong gradient: the class of the mistake, and the line that would have to change.

Named is only what is shown: a change of the user's own source, or one operation on what it returned, that makes the
gradient agree with the oracle at every probe, while no change of another class that was tried does so.
"""

from gradlab.gradients.repair.diagnosis import Diagnosis, diagnosed
from gradlab.gradients.repair.kinds import Kind

__all__ = ["Diagnosis", "Kind", "diagnosed"]
