"""What is shipped with the engine as data: the default configuration and the scripts of the rehearsal."""
