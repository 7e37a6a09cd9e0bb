"""The parts of the room."""
