"""What a second service needed."""

__version__ = "0.1.0"
