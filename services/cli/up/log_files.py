"""The log files of the stack's services."""

from collections.abc import Iterable
from pathlib import Path


def log_path(directory: Path, service: str) -> Path:
    return directory / "logs" / f"{service}.log"


def start_logs(directory: Path, services: Iterable[str]) -> None:
    """Start an empty log for every service; the previous run's log is kept as `<service>.log.1`."""
    for service in services:
        path = log_path(directory, service)
        path.parent.mkdir(exist_ok=True)
        if path.exists():
            path.replace(path.with_name(f"{path.name}.1"))
        path.touch()
