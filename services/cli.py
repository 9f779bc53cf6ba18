"""`fleetprice …`: one command for people. The only place that knows every service, and it imports them late.

Exit codes: 0 done, 1 ran and found something wrong, 2 a person must change something (one line on stderr).
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer import Option
from typer.core import TyperCommand, TyperGroup

from shared import __version__
from shared.errors import MissingExtra, NeedsAttention


@dataclass(frozen=True, slots=True)
class Verb:
    """What a command runs, and the extra that brings the packages it needs."""

    package: str
    settings: str
    extra: str
    starts: tuple[str, ...] = ()  # verbs that it runs as processes of their own
    also_needs: tuple[str, ...] = ()  # packages that only those import


_STARTED_BY_UP = ("emulator", "ingest", "score", "simulate", "verify")
_STARTED_BY_CHAOS = (*_STARTED_BY_UP, "compact")

VERBS = {
    "up": Verb("services.up", "UpSettings", "local", _STARTED_BY_UP, ("onnxruntime",)),
    "emulator": Verb("services.emulator", "EmulatorSettings", "emulator"),
    "simulate": Verb("services.simulator", "SimulatorSettings", "simulator"),
    "ingest": Verb("services.ingest", "IngestSettings", "ingest"),
    "compact": Verb("services.compaction", "CompactionSettings", "compaction"),
    "score": Verb("services.scorer", "ScorerSettings", "scorer"),
    "train": Verb("services.trainer", "TrainerSettings", "trainer"),
    "tail": Verb("services.tail", "TailSettings", "local"),
    "dead-letters": Verb("services.dead_letters", "DeadLettersSettings", "local"),
    "bench": Verb("services.bench", "BenchSettings", "local"),
    "verify": Verb("services.oracle", "OracleSettings", "local"),
    "chaos": Verb("services.chaos", "ChaosSettings", "local", _STARTED_BY_CHAOS, ("onnxruntime",)),
}


class VerbCommand(TyperCommand):
    """A command whose help ends with every setting of its service."""

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        _write_settings(str(self.name), formatter)


class VerbGroup(TyperGroup):
    """The same for a command that has others below it."""

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        _write_settings(str(self.name), formatter)


def _write_settings(name: str, formatter: Any) -> None:
    from shared.settings_help import settings_help  # noqa: PLC0415 - only help needs it

    verb = VERBS[name]
    formatter.write("\n" + settings_help(_part(verb, "settings", verb.settings)))


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

Data = Annotated[Path | None, Option(help="Where everything is kept (default .fleetprice)")]
Json = Annotated[bool | None, Option("--json", help="For machines: JSON on stdout, nothing else there")]
Port = Annotated[int | None, Option(help="0: any free one")]
PortBase = Annotated[int | None, Option(help="Lay all ports out from this one; 0: any free ones")]
Vehicles = Annotated[int | None, Option(help="Vehicles in the fleet")]
Rate = Annotated[float | None, Option("--rate", help="Readings a vehicle sends, hertz")]
Pack = Annotated[int | None, Option(help="Readings in one event; 1: single JSON")]
Seed = Annotated[int | None, Option(help="The same seed gives the same result")]


@app.callback(invoke_without_command=True)
def fleetprice(
    context: typer.Context,
    version: Annotated[bool, Option("--version", help="Show the version and end")] = False,
) -> None:
    """Vehicle telemetry in, live market values out."""
    if version:
        typer.echo(f"fleetprice {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())
    else:
        return
    raise typer.Exit


@app.command(cls=VerbCommand)
def up(
    data: Data = None,
    vehicles: Vehicles = None,
    rate_hz: Rate = None,
    pack: Pack = None,
    seconds: Annotated[
        float | None, Option(help="Send for so long, then drain, verify and end, seconds")
    ] = None,
    seed: Seed = None,
    port_base: PortBase = None,
    as_json: Json = None,
) -> None:
    """Run and watch the whole stack with a simulated fleet."""
    _run("up", locals())


emulator_app = typer.Typer(cls=VerbGroup, rich_markup_mode=None)
app.add_typer(emulator_app, name="emulator", subcommand_metavar="[hubs ...]")


@emulator_app.callback(invoke_without_command=True)
def emulator(
    context: typer.Context,
    data: Data = None,
    config: Annotated[
        Path | None, Option(help="Config.json of Microsoft's Event Hubs emulator, to make its hubs")
    ] = None,
    host: Annotated[str | None, Option(help="Address to listen on; beyond loopback with own keys")] = None,
    event_hubs_port: Port = None,
    event_hubs_tls_port: Port = None,
    event_hubs_ws_port: Port = None,
    storage_port: Port = None,
    admin_port: Port = None,
    throughput_units: Annotated[
        float | None,
        Option(help="Throttle at so many, 1 MB or 1,000 events a second each (default: no limit)"),
    ] = None,
    port_base: PortBase = None,
    tls: Annotated[bool | None, Option("--tls/--no-tls", help="Answer TLS, wss, https (default on)")] = None,
    tls_certificate: Annotated[
        Path | None, Option(help="Certificate chain to show, PEM (default: one of its own, in DIR/tls)")
    ] = None,
    tls_key: Annotated[Path | None, Option(help="Key of that certificate, PEM")] = None,
    as_json: Json = None,
) -> None:
    """Run the embedded Azure alone: Event Hubs and storage."""
    flags = {name: value for name, value in locals().items() if name != "context" and value is not None}
    if context.invoked_subcommand is None:
        _run("emulator", flags)
    elif flags:
        raise NeedsAttention(f"flags of {context.invoked_subcommand} come behind it")


@emulator_app.command()
def hubs(
    action: Annotated[Literal["list", "create", "delete"], typer.Argument(help="What to do")] = "list",
    name: Annotated[str | None, typer.Argument(help="Name of the hub")] = None,
    partitions: Annotated[int | None, Option(help="Of a new hub (default 4)")] = None,
    consumer_group: Annotated[
        list[str] | None,
        Option(help="Of a new hub, beside $Default; may be repeated (default: any name is one)"),
    ] = None,
    retention_hours: Annotated[
        float | None, Option(help="How long a new hub keeps its events, hours (default 24)")
    ] = None,
    admin: Annotated[
        str | None, Option(help="URL of the emulator's admin listener (default: that on DIR, or port 5300)")
    ] = None,
    data: Annotated[Path | None, Option(help="Directory of a running emulator (default .fleetprice)")] = None,
    as_json: Json = None,
) -> None:
    """List, make and delete the hubs of a running emulator."""
    main_of = _part(VERBS["emulator"], "hubs_command", "main")
    code = main_of(
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


@app.command(cls=VerbCommand)
def simulate(
    vehicles: Vehicles = None,
    rate_hz: Rate = None,
    pack: Pack = None,
    seconds: Annotated[
        float | None, Option(help="How long the fleet sends, seconds; 0: until stopped")
    ] = None,
    seed: Seed = None,
    bad_share: Annotated[float | None, Option(help="Bad bodies sent on purpose, per reading")] = None,
    data: Annotated[Path | None, Option(help="Where the record of what was sent is kept")] = None,
) -> None:
    """Send a simulated fleet's telemetry to a hub."""
    _run("simulate", locals())


@app.command(cls=VerbCommand)
def ingest(
    streams: Annotated[str | None, Option(help="Streams to land, separated by commas")] = None,
    dead_letter: Annotated[
        str | None, Option(metavar="PARTITION:SEQUENCE", help="Dead-letter this event undecoded")
    ] = None,
    workers: Annotated[int | None, Option(help="Processes that share the partitions")] = None,
    metrics_port: Port = None,
) -> None:
    """Land streams in the lake's raw zone, exactly once."""
    _run("ingest", locals())


@app.command(cls=VerbCommand)
def compact(
    stream: Annotated[str | None, Option(help="This stream alone (default: every one that landed)")] = None,
    older_than_s: Annotated[
        float | None,
        Option("--older-than", help="Take unfinished hours too once they rest so long, seconds (3600)"),
    ] = None,
    every_s: Annotated[
        float | None, Option("--every", help="Go on, with a pass so often, seconds; 0: one pass")
    ] = None,
    data: Annotated[
        Path | None, Option(help="Directory of a running stack, where no storage is named")
    ] = None,
    as_json: Json = None,
) -> None:
    """Make larger files of small ones, beside them, as a Delta table."""
    _run("compact", locals())


@app.command(cls=VerbCommand)
def score(
    stream: Annotated[
        bool | None, Option("--stream/--no-stream", help="Score the telemetry hub (default on)")
    ] = None,
    http: Annotated[
        bool | None, Option("--http/--no-http", help="Serve prices over HTTP (default on)")
    ] = None,
    http_port: Port = None,
    version: Annotated[str | None, Option("--model-version", help="Version of the price model")] = None,
) -> None:
    """Price every reading of the stream, and over HTTP."""
    _run("score", locals())


@app.command(cls=VerbCommand)
def train(
    data: Annotated[Path | None, Option(help="Parquet file of asking prices to learn from")] = None,
    out: Annotated[Path | None, Option(help="Folder of the new version; it must not exist")] = None,
    seed: Seed = None,
    as_json: Json = None,
) -> None:
    """Train a version of the price model."""
    _run("train", locals())


@app.command(cls=VerbCommand)
def tail(
    stream: Annotated[str, typer.Argument(metavar="telemetry|predictions", help="What to watch")],
    start: Annotated[
        str | None, Option("--from", help="earliest, latest, an RFC 3339 time or PARTITION:OFFSET")
    ] = None,
    vehicle: Annotated[str | None, Option(help="This vehicle alone")] = None,
    data: Annotated[Path | None, Option(help="Directory of the stack to watch, where none is named")] = None,
    as_json: Json = None,
) -> None:
    """Watch a stream."""
    _run("tail", locals())


@app.command(cls=VerbCommand)
def bench(
    only: Annotated[str | None, Option(help="Figures to measure, separated by commas")] = None,
    rounds: Annotated[int | None, Option(help="Laps of ours and of the floor, in turn")] = None,
    scale: Annotated[float | None, Option(help="Times the usual load")] = None,
    as_json: Json = None,
) -> None:
    """Measure ours beside the bare SDK in the same run."""
    _run("bench", locals())


@app.command(cls=VerbCommand)
def verify(data: Data = None, as_json: Json = None) -> None:
    """Hold what was sent against what landed and was priced."""
    _run("verify", locals())


dead_letters_app = typer.Typer(cls=VerbGroup, rich_markup_mode=None, no_args_is_help=True)
app.add_typer(dead_letters_app, name="dead-letters", help="List, show and replay what could not be decoded.")

Ids = Annotated[
    list[str] | None, typer.Argument(metavar="[PARTITION:SEQUENCE[:LINE] ...]", help="These alone")
]
Stream = Annotated[str | None, Option(help="The stream that is meant (default telemetry)")]
Partition = Annotated[int | None, Option(help="Those of this partition alone")]
Reason = Annotated[str | None, Option(help="empty, malformed, invalid, too-large or named-by-operator")]
Since = Annotated[str | None, Option(help="Those enqueued at this RFC 3339 time or later")]


@dead_letters_app.command(name="list")
def list_letters(
    ids: Ids = None,
    stream: Stream = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    data: Data = None,
    as_json: Json = None,
) -> None:
    """List them: where each stood, why it is one, whether it was replayed."""
    _run_dead_letters("list", locals())


@dead_letters_app.command(name="show")
def show_letters(
    ids: Ids = None,
    stream: Stream = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    raw: Annotated[bool | None, Option("--raw", help="The body's bytes alone")] = None,
    data: Data = None,
    as_json: Json = None,
) -> None:
    """Show them whole; with --json as `replay --from` takes them once they are mended."""
    _run_dead_letters("show", locals())


@dead_letters_app.command(name="replay")
def replay_letters(
    ids: Ids = None,
    stream: Stream = None,
    partition: Partition = None,
    reason: Reason = None,
    since: Since = None,
    everything: Annotated[bool | None, Option("--all", help="Every one not replayed before")] = None,
    body: Annotated[Path | None, Option(help="Send this file's bytes in the one letter's stead")] = None,
    content_type: Annotated[str | None, Option(help="Send with this content type")] = None,
    letters: Annotated[
        Path | None, Option("--from", help="Send what this file of `show --json` lines holds")
    ] = None,
    dry_run: Annotated[bool | None, Option("--dry-run", help="Send nothing, say what would be sent")] = None,
    force: Annotated[
        bool | None, Option("--force", help="Send also what would be a dead letter again")
    ] = None,
    data: Data = None,
    as_json: Json = None,
) -> None:
    """Send them to their hub again, each once."""
    _run_dead_letters("replay", locals())


def _run_dead_letters(action: str, flags: Mapping[str, Any]) -> None:
    _run("dead-letters", {**flags, "action": action, "ids": ",".join(flags["ids"] or ()) or None})


@app.command(cls=VerbCommand)
def chaos(
    seed: Annotated[int | None, Option(help="The same seed gives the same faults at the same times")] = None,
    seconds: Annotated[
        float | None, Option(help="How long the fleet sends under faults, seconds (default 20)")
    ] = None,
    data: Annotated[
        Path | None,
        Option(help="Where the run is kept (default a temporary directory, removed after a clean run)"),
    ] = None,
    rate: Annotated[int | None, Option(help="Readings a second, over all vehicles (default 1000)")] = None,
    schedules: Annotated[int | None, Option(help="So many runs, seeds from --seed upwards")] = None,
    at_once: Annotated[int | None, Option(help="How many of these runs go on at a time")] = None,
    as_json: Json = None,
) -> None:
    """Run the stack under faults at seeded moments; the last line counts what was lost or doubled."""
    _run("chaos", locals())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code. Whatever a person must change is said in one line on stderr."""
    try:
        return int(app(arguments, prog_name="fleetprice", standalone_mode=False) or 0)
    except typer.TyperException as error:
        sentence = error.format_message().replace("\n", " ").rstrip(". ")
        return _refuse(f"{sentence} (--help shows what there is)")
    except NeedsAttention as error:
        return _refuse(str(error))
    except typer.Abort:
        return 1


def _refuse(sentence: str) -> int:
    print(f"fleetprice: {sentence}", file=sys.stderr)  # noqa: T201 - the one line that a person reads
    return 2


def _run(name: str, flags: Mapping[str, object]) -> None:
    """Run the verb with the flags that were given, each named like the setting that it is over."""
    from shared.settings import read_settings  # noqa: PLC0415 - `fleetprice --help` does without

    verb = VERBS[name]
    for package in verb.also_needs:
        if find_spec(package) is None:
            raise _missing(name, verb)
    for started in verb.starts:  # a mistake in their settings is told before anything runs
        read_settings(_part(VERBS[started], "settings", VERBS[started].settings))
    main_of = _part(verb, "__main__", "main")
    raise typer.Exit(main_of({flag: value for flag, value in flags.items() if value is not None}))


def _part(verb: Verb, module: str, attribute: str) -> Any:
    """Something of a service, imported now. Raises MissingExtra where a package is not installed."""
    try:
        return getattr(import_module(f"{verb.package}.{module}"), attribute)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("services", "shared"):
            raise
        name = next(name for name, one in VERBS.items() if one is verb)
        raise _missing(name, verb) from error


def _missing(name: str, verb: Verb) -> MissingExtra:
    return MissingExtra(f"{name} needs the extra {verb.extra}: pip install 'fleetprice[{verb.extra}]'")


if __name__ == "__main__":
    sys.exit(main())
