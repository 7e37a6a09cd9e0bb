"""The engine of swarm-tui: headless, crash-only, and the only writer of a run's state."""

__version__ = "0.1.0"
