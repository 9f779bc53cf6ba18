"""The runs of a fleet on one data directory: `fleet.json`, a list, oldest first.

A run is `{"run_id", "seed", "vehicles", "rate_hz", "pack", "started_at", "hub_created_at"}`; `started_at` is
when the first reading was due. A process that starts under the run_id of the newest run continues it.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from services.simulator.record.partition_record import replace_file
from shared.service.errors import HubRecreated, NeedsAttention


class Run(msgspec.Struct, frozen=True):
    """One run: what it sent, and the hub it sent to."""

    run_id: str
    seed: int
    vehicles: int
    rate_hz: float
    pack: int
    started_at: datetime
    hub_created_at: datetime


def read_runs(path: Path) -> list[Run]:
    """Read the runs so far. Raises NeedsAttention if the file is not a list of runs."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Run])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        raise NeedsAttention(f"{path} is no list of runs ({error}): move it away") from error


def write_runs(path: Path, runs: list[Run]) -> None:
    """Replace the list atomically."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(runs), indent=1) + b"\n")


def refuse_other_hub(runs: list[Run], hub_created_at: datetime, folder: Path) -> None:
    """Raise HubRecreated if the record is of another hub: its positions mean nothing in this one."""
    if runs and runs[-1].hub_created_at != hub_created_at:
        raise HubRecreated(
            f"{folder} records what was sent to a hub of {runs[-1].hub_created_at:%Y-%m-%d %H:%M:%S} UTC, "
            f"this one is of {hub_created_at:%Y-%m-%d %H:%M:%S}: name another --data, or move the folder away"
        )


def find_run(runs: list[Run], run_id: str) -> Run | None:
    """Return the newest run if it has this name. Without a name every process is a run of its own."""
    return runs[-1] if run_id and runs and runs[-1].run_id == run_id else None


def remaining_s(seconds: float, run: Run | None, now: datetime) -> float | None:
    """Return how long the fleet still has to send; None: endlessly."""
    if not seconds:
        return None
    if run is None:
        return seconds
    return max(0.0, seconds - (now - run.started_at).total_seconds())
