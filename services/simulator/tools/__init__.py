"""Programs that make the simulator's data files."""
