"""The vehicles of a fleet and their readings."""
