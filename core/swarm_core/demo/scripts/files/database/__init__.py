"""The schema of EcoRoute, its migrations and the data to start with."""
