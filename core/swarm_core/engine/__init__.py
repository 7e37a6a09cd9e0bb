"""The engine: the only room that knows all the others, and the only writer of a run's state."""
