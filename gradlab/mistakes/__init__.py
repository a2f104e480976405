"""Named wrong equations: what each looks like, which of them code has in it, and how many the checker would miss.

mistakes("rnn")                      -> the catalogue's rows, as data
patch(cell, {label: expression})     -> the cell's own code with other right-hand sides
diagnose("rnn", code)                -> Diagnosis: which mistake reproduces what the code gives, exactly
score("rnn")                         -> Score: every mutant, caught or not, beside the peers' rules
"""

from gradlab.mistakes.catalogue import Catalogue, Mistake, mistake, mistakes, table
from gradlab.mistakes.diagnose import Diagnosis, diagnose
from gradlab.mistakes.mutants import Mutant, mutants
from gradlab.mistakes.patch import PatchError, patch, with_mistakes
from gradlab.mistakes.score import Score, score

__all__ = [
    "Catalogue",
    "Diagnosis",
    "Mistake",
    "Mutant",
    "PatchError",
    "Score",
    "diagnose",
    "mistake",
    "mistakes",
    "mutants",
    "patch",
    "score",
    "table",
    "with_mistakes",
]
