"""The papers of a run that people read: rendered from facts, and read back to the same."""
