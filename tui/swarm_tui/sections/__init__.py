"""What the evidence screen shows: one file for each kind of thing. Pure: the state in, rows and lines out."""
