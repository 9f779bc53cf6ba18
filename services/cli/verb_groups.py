"""The verbs of `fleetprice` that are groups of commands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option

from services.cli.verbs import (
    VERBS,
    Data,
    FlagCommand,
    Json,
    Port,
    PortBase,
    VerbGroup,
    import_part,
    run_verb,
)
from shared.service.errors import NeedsAttention

emulator_app = typer.Typer(cls=VerbGroup, rich_markup_mode=None)


@emulator_app.callback(invoke_without_command=True)
def emulator(
    context: typer.Context,
    data: Data = None,
    config: Annotated[
        Path | None, Option(help="Config.json of Microsoft's Event Hubs emulator, whose hubs are made")
    ] = None,
    host: Annotated[
        str | None, Option(help="Address to listen on; beyond loopback it needs keys of your own")
    ] = None,
    event_hubs_port: Port = None,
    event_hubs_tls_port: Port = None,
    event_hubs_ws_port: Port = None,
    storage_port: Port = None,
    admin_port: Port = None,
    throughput_units: Annotated[
        float | None,
        Option(help="Throttle to this many, 1 MB or 1,000 events a second each (default: no limit)"),
    ] = None,
    port_base: PortBase = None,
    tls: Annotated[bool | None, Option("--tls/--no-tls", help="Serve TLS, wss, https (default on)")] = None,
    tls_certificate: Annotated[
        Path | None, Option(help="Certificate chain to serve, PEM (default: one that it makes, in DIR/tls)")
    ] = None,
    tls_key: Annotated[Path | None, Option(help="Key of that certificate, PEM")] = None,
    as_json: Json = None,
) -> None:
    """Run the embedded Azure alone: Event Hubs and storage."""
    flags = {name: value for name, value in locals().items() if name != "context" and value is not None}
    if context.invoked_subcommand is None:
        run_verb("emulator", flags)
    elif flags:
        raise NeedsAttention(f"put flags of {context.invoked_subcommand} after it")


@emulator_app.command()
def hubs(
    action: Annotated[Literal["list", "create", "delete"], typer.Argument(help="What to do")] = "list",
    name: Annotated[str | None, typer.Argument(help="Name of the hub")] = None,
    partitions: Annotated[int | None, Option(help="Partitions of a new hub (default 4)")] = None,
    consumer_group: Annotated[
        list[str] | None,
        Option(help="A consumer group of a new hub, besides $Default; repeatable (default: any name)"),
    ] = None,
    retention_hours: Annotated[
        float | None, Option(help="Time that a new hub keeps its events, hours (default 24)")
    ] = None,
    admin: Annotated[
        str | None,
        Option(help="URL of the emulator's admin listener (default: the one on DIR, or port 5300)"),
    ] = None,
    data: Annotated[Path | None, Option(help="Directory of a running emulator (default .fleetprice)")] = None,
    as_json: Json = None,
) -> None:
    """List, create and delete the hubs of a running emulator."""
    main = import_part(VERBS["emulator"], "admin.hubs_command", "main")
    code = main(
        action,
        name,
        partitions=partitions,
        consumer_groups=consumer_group or (),
        retention_hours=retention_hours,
        admin=admin,
        data=data,
        as_json=bool(as_json),
    )
    raise typer.Exit(code)


dead_letters_app = typer.Typer(cls=VerbGroup, rich_markup_mode=None)

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[PARTITION:SEQUENCE[:LINE] ...]", help="Only these")
]
Stream = Annotated[str | None, Option(help="Stream of the dead letters (default telemetry)")]
Partition = Annotated[int | None, Option(help="Only those of this partition")]
Reason = Annotated[
    str | None,
    Option(
        help="Only those for this reason: empty, malformed, invalid, too-large, named-by-operator or poison"
    ),
]
Since = Annotated[str | None, Option(help="Only those enqueued at this RFC 3339 time or later")]


@dead_letters_app.command(name="list", cls=FlagCommand)
def list_letters(
    ids: Ids = None,
    stream: Stream = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    data: Data = None,
    as_json: Json = None,
) -> None:
    """List dead letters: position, reason, whether each was replayed."""
    _run_letters("list", locals())


@dead_letters_app.command(name="show", cls=FlagCommand)
def show_letters(
    ids: Ids = None,
    stream: Stream = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    raw: Annotated[bool | None, Option("--raw", help="Write the bytes of the body, and nothing else")] = None,
    data: Data = None,
    as_json: Json = None,
) -> None:
    """Show dead letters whole; `replay --from` takes what --json writes, once repaired."""
    _run_letters("show", locals())


@dead_letters_app.command(name="replay", cls=FlagCommand)
def replay_letters(
    ids: Ids = None,
    stream: Stream = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    everything: Annotated[bool | None, Option("--all", help="All that were not replayed before")] = None,
    body: Annotated[Path | None, Option(help="Send this file's bytes instead of the one letter's")] = None,
    content_type: Annotated[str | None, Option(help="Send with this content type")] = None,
    letters: Annotated[
        Path | None, Option("--from", help="Send the letters in this file of `show --json` lines")
    ] = None,
    dry_run: Annotated[
        bool | None, Option("--dry-run", help="Show what would be sent, and send nothing")
    ] = None,
    force: Annotated[
        bool | None, Option("--force", help="Also send what would become a dead letter again")
    ] = None,
    data: Data = None,
    as_json: Json = None,
) -> None:
    """Send dead letters to their hub again, each once."""
    _run_letters("replay", locals())


def _run_letters(action: str, flags: Mapping[str, Any]) -> None:
    run_verb("dead-letters", {**flags, "action": action, "ids": ",".join(flags["ids"] or ()) or None})
