"""Backups of runs, restoring them anywhere, keeping the number of old ones small, and the index of all."""
