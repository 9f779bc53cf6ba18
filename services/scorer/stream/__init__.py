"""The pricing of the telemetry stream, effectively once: the output hub serves as the checkpoint."""
