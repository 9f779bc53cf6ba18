"""A simulated fleet that sends telemetry to a hub."""
