"""What a run was doing and for how long: spans, measures and logs, all derived from what is on disk anyway."""
