"""The pricing of the telemetry stream, effectively once: the output hub is the checkpoint."""
