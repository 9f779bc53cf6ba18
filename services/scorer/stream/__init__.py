"""Readings in, predictions out, effectively once: the output hub is the checkpoint."""
