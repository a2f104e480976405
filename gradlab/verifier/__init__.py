"""Reads a derivation in Markdown, LaTeX or a notebook, and judges every equation in it.

verify(path) -> DocumentReport              one file or notebook
verify_text(text) -> DocumentReport         Markdown in a string
verify_paths(paths) -> Verification         files and folders
Session().judge(text) -> DocumentReport     the versions of a document while it is written
"""

from gradlab.verifier.report import DocumentReport, Finding, Repair, Verification
from gradlab.verifier.session import Session
from gradlab.verifier.verify import verify, verify_paths, verify_text

__all__ = ["DocumentReport", "Finding", "Repair", "Session", "Verification", "verify", "verify_paths", "verify_text"]
