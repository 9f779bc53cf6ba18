"""`fleetprice emulator hubs`: list, create and delete hubs of a running emulator."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from services.emulator.admin.client import AdminClient
from services.emulator.settings import EmulatorSettings
from shared.service.errors import NeedsAttention
from shared.service.local_stack import find_running_stack
from shared.service.settings import read_settings

Action = Literal["list", "create", "delete"]

_HEADINGS = ("HUB", "PARTITIONS", "EVENTS", "RETENTION", "CREATED", "CONSUMER GROUPS")
_DEFAULT_ADMIN_PORT = 5300


def main(
    action: Action,
    name: str | None = None,
    *,
    partitions: int | None = None,
    consumer_groups: Sequence[str] = (),
    retention_hours: float | None = None,
    admin: str | None = None,
    data: Path | None = None,
    as_json: bool = False,
) -> int:
    """Run the action and print the result. Return the exit code.

    Raises NeedsAttention if the arguments do not fit the action, or if the emulator refuses or does not
    respond.
    """
    options = {
        "partition_count": partitions,
        "consumer_groups": list(consumer_groups) or None,
        "retention_hours": retention_hours,
    }
    options = {field: value for field, value in options.items() if value is not None}
    _check_arguments(action, name, options)
    client = AdminClient(admin or admin_url(data))
    if action == "delete" and name is not None:
        client.delete_hub(name)
        _print_result({"deleted": name}, f"deleted {name}", as_json)
    elif action == "create" and name is not None:
        hub = client.create_hub(name, options)
        _print_result(hub, format_table([hub]), as_json)
    else:
        hubs = client.hubs() if name is None else [client.hub(name)]
        _print_result(hubs, format_table(hubs), as_json)
    return 0


def admin_url(data: Path | None) -> str:
    """Return the admin URL of the emulator that runs on `data`.

    If `data` is None, the data directory in the settings is used. If no emulator runs there, the URL has the
    admin port in the settings. Raises NeedsAttention if `data` is given and no emulator runs on it.
    """
    settings = read_settings(EmulatorSettings, {"data": data})
    running = find_running_stack(settings.data)
    if running is not None and running.admin:
        return running.admin
    if data is not None:
        raise NeedsAttention(
            f"no emulator runs on {data}: start one with `fleetprice emulator --data {data}`"
        )
    return f"http://127.0.0.1:{settings.resolve_port('admin') or _DEFAULT_ADMIN_PORT}"


def format_table(hubs: Sequence[dict[str, Any]]) -> str:
    """Format hubs as a table, one line per hub."""
    rows = [_HEADINGS, *map(_format_row, hubs)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join(lines)


def _format_row(hub: dict[str, Any]) -> tuple[str, ...]:
    events = sum(
        partition["last_enqueued_sequence_number"] + 1 - partition["begin_sequence_number"]
        for partition in hub["partitions"]
    )
    groups = hub["consumer_groups"]
    return (
        hub["name"],
        str(hub["partition_count"]),
        str(events),
        f"{hub['retention_hours']:g} h",
        hub["created_at"][:19].replace("T", " "),
        "any" if groups is None else ", ".join(groups),
    )


def _check_arguments(action: Action, name: str | None, options: dict[str, Any]) -> None:
    if action != "list" and name is None:
        raise NeedsAttention(f"{action} needs the hub's name: fleetprice emulator hubs {action} NAME")
    if action != "create" and options:
        raise NeedsAttention("--partitions, --consumer-group and --retention-hours are for create")


def _print_result(result: object, text: str, as_json: bool) -> None:
    sys.stdout.write((json.dumps(result, separators=(",", ":")) if as_json else text) + "\n")
