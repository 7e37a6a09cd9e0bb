"""The control room: reads a run's journal and logs, drops decisions into the inbox, and never touches anything else."""
