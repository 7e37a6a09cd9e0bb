"""What fills the terminal: the room, a gate, a document, the activity, the help."""
