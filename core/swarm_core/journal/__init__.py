"""The journal: what happened, on disk, in order; and what is derived from it."""
