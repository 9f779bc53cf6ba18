"""The runs that used one data directory, kept in `fleet.json` as a list, oldest first.

A run is `{"run_id", "seed", "vehicles", "rate_hz", "pack", "started_at", "hub_created_at"}`; `started_at` is
the time at which the first reading was due. A process that starts with the run_id of the newest run continues
that run.
"""

from datetime import datetime
from pathlib import Path

import msgspec

from shared.service.atomic_file import replace_file
from shared.service.errors import HubRecreated, NeedsAttention


class Run(msgspec.Struct, frozen=True):
    """A run: the fleet and rate that it sent, and the creation time of the hub that it sent to."""

    run_id: str
    seed: int
    vehicles: int
    rate_hz: float
    pack: int
    started_at: datetime
    hub_created_at: datetime


def read_runs(path: Path) -> list[Run]:
    """Return the recorded runs, none if there is no file.

    Raises NeedsAttention if the file is not a list of runs.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=list[Run])
    except FileNotFoundError:
        return []
    except msgspec.MsgspecError as error:
        raise NeedsAttention(f"{path} is no list of runs ({error}): move it away") from error


def write_runs(path: Path, runs: list[Run]) -> None:
    """Replace the file with this list of runs, atomically."""
    replace_file(path, msgspec.json.format(msgspec.json.encode(runs), indent=1) + b"\n")


def refuse_other_hub(runs: list[Run], hub_created_at: datetime, folder: Path) -> None:
    """Check that the record belongs to this hub.

    Raises HubRecreated if the newest run was sent to another hub, whose positions mean nothing in this one.
    """
    if runs and runs[-1].hub_created_at != hub_created_at:
        raise HubRecreated(
            f"{folder} records what was sent to a hub of {runs[-1].hub_created_at:%Y-%m-%d %H:%M:%S} UTC, "
            f"this one is of {hub_created_at:%Y-%m-%d %H:%M:%S}: name another --data, or move the folder away"
        )


def find_run(runs: list[Run], run_id: str) -> Run | None:
    """Return the newest run if its name is `run_id`, else None. An empty `run_id` matches no run."""
    return runs[-1] if run_id and runs and runs[-1].run_id == run_id else None


def remaining_s(seconds: float, run: Run | None, now: datetime) -> float | None:
    """Return for how many more seconds the fleet sends; None means endlessly.

    `run` is the run that is continued, or None for a new run.
    """
    if not seconds:
        return None
    if run is None:
        return seconds
    return max(0.0, seconds - (now - run.started_at).total_seconds())
