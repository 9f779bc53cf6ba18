"""Compaction of small raw files into a Delta table."""
