"""What keeps an agent's processes inside: a ladder of confinements, and the proof that the one in use holds."""
