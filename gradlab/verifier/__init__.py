"""Reads a derivation in Markdown and LaTeX, and judges every equation in it.

verify(path) -> DocumentReport              one file or notebook
verify_text(text) -> DocumentReport         Markdown in a string
verify_paths(paths) -> Verification         files and folders
"""

from gradlab.verifier.report import DocumentReport, Finding, Repair, Verification
from gradlab.verifier.verify import verify, verify_paths, verify_text

__all__ = ["DocumentReport", "Finding", "Repair", "Verification", "verify", "verify_paths", "verify_text"]
