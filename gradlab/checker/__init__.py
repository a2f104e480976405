"""Evidence in, verdicts out."""
