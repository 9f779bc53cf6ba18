"""`fleetprice …`: one command for every service, each imported only when its verb runs.

Exit codes: 0 done, 1 ran and found something wrong, 2 a person must change something (one line on stderr).
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer
from typer import Option

from services.cli.verb_groups import dead_letters_app, emulator_app
from services.cli.verbs import Data, Json, Pack, Port, PortBase, Rate, Seed, Vehicles, VerbCommand, run_verb
from shared import __version__
from shared.service.errors import NeedsAttention

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.add_typer(emulator_app, name="emulator", subcommand_metavar="[hubs ...]")
app.add_typer(dead_letters_app, name="dead-letters", help="List, show and replay what could not be decoded.")


@app.callback(invoke_without_command=True)
def fleetprice(
    context: typer.Context,
    version: Annotated[bool, Option("--version", help="Show the version and exit.")] = False,
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
        float | None, Option(help="Send for this time, then drain, verify and exit, seconds")
    ] = None,
    seed: Seed = None,
    port_base: PortBase = None,
    as_json: Json = None,
) -> None:
    """Run the whole stack with a simulated fleet, and watch it."""
    run_verb("up", locals())


@app.command(cls=VerbCommand)
def simulate(
    vehicles: Vehicles = None,
    rate_hz: Rate = None,
    pack: Pack = None,
    seconds: Annotated[float | None, Option(help="Send for this time, seconds; 0: until stopped")] = None,
    seed: Seed = None,
    bad_share: Annotated[float | None, Option(help="Bad bodies to send on purpose, per reading")] = None,
    data: Annotated[Path | None, Option(help="Directory of the record of what was sent")] = None,
) -> None:
    """Send the telemetry of a simulated fleet to a hub."""
    run_verb("simulate", locals())


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
    run_verb("ingest", locals())


@app.command(cls=VerbCommand)
def compact(
    stream: Annotated[str | None, Option(help="Compact this stream only (default: all that landed)")] = None,
    older_than_s: Annotated[
        float | None,
        Option(
            "--older-than",
            help="Also compact unfinished hours without a new file for this time, seconds (3600)",
        ),
    ] = None,
    every_s: Annotated[
        float | None, Option("--every", help="Repeat at this interval, seconds; 0: one pass")
    ] = None,
    data: Annotated[Path | None, Option(help="Directory of a running stack, if no storage is set")] = None,
    as_json: Json = None,
) -> None:
    """Copy small files into larger ones, as a Delta table."""
    run_verb("compact", locals())


@app.command(cls=VerbCommand)
def score(
    stream: Annotated[
        bool | None, Option("--stream/--no-stream", help="Score the telemetry hub (default on)")
    ] = None,
    http: Annotated[
        bool | None, Option("--http/--no-http", help="Serve prices over HTTP (default on)")
    ] = None,
    http_port: Port = None,
    workers: Annotated[int | None, Option(help="Processes that share the partitions and the port")] = None,
    version: Annotated[str | None, Option("--model-version", help="Version of the price model")] = None,
    dead_letter: Annotated[
        str | None, Option(metavar="PARTITION:SEQUENCE", help="Leave this event undecoded, without prices")
    ] = None,
) -> None:
    """Price readings, from the stream and over HTTP."""
    run_verb("score", locals())


@app.command(cls=VerbCommand)
def train(
    data: Annotated[
        Path | None, Option(help="Asking prices (Parquet), or the 1985 automobile set (CSV)")
    ] = None,
    out: Annotated[Path | None, Option(help="Folder to make for the new version")] = None,
    model: Annotated[
        Literal["price", "automobile"] | None, Option(help="The model to train (default price)")
    ] = None,
    seed: Seed = None,
    as_json: Json = None,
) -> None:
    """Train a version of a model."""
    run_verb("train", locals())


@app.command(cls=VerbCommand)
def tail(
    stream: Annotated[str, typer.Argument(metavar="telemetry|predictions", help="The stream to watch")],
    start: Annotated[
        str | None, Option("--from", help="earliest, latest, an RFC 3339 time or PARTITION:OFFSET")
    ] = None,
    vehicle: Annotated[str | None, Option(help="Show this vehicle only")] = None,
    resume: Annotated[
        Path | None, Option(metavar="FILE", help="Resume predictions from this file, and keep it up to date")
    ] = None,
    data: Annotated[Path | None, Option(help="Directory of the stack to watch, if no hub is set")] = None,
    as_json: Json = None,
) -> None:
    """Show the records of a stream as they come."""
    run_verb("tail", locals())


@app.command(cls=VerbCommand)
def bench(
    only: Annotated[str | None, Option(help="Figures to measure, separated by commas")] = None,
    rounds: Annotated[int | None, Option(help="Runs of ours and of the bare SDK, in turn")] = None,
    scale: Annotated[float | None, Option(help="Multiple of the usual load")] = None,
    as_json: Json = None,
) -> None:
    """Measure the services against the bare SDK in the same run."""
    run_verb("bench", locals())


@app.command(cls=VerbCommand)
def verify(data: Data = None, as_json: Json = None) -> None:
    """Compare what was sent with what landed and what was priced."""
    run_verb("verify", locals())


@app.command(cls=VerbCommand)
def chaos(
    seed: Annotated[int | None, Option(help="The same seed gives the same faults at the same times")] = None,
    seconds: Annotated[
        float | None, Option(help="Send under faults for this time, seconds (default 20)")
    ] = None,
    data: Annotated[
        Path | None,
        Option(help="Directory of the run (default: a temporary one, removed after a clean run)"),
    ] = None,
    rate: Annotated[
        int | None, Option(help="Readings a second of all vehicles together (default 1000)")
    ] = None,
    schedules: Annotated[int | None, Option(help="Number of runs, with seeds from --seed upwards")] = None,
    at_once: Annotated[int | None, Option(help="Number of these runs at a time")] = None,
    as_json: Json = None,
) -> None:
    """Run the stack under faults, and count what is lost or doubled."""
    run_verb("chaos", locals())


@app.command()
def settings() -> None:
    """Show the settings of every verb: connections, logs."""
    from shared.service.help import common_settings_help  # noqa: PLC0415 - only this needs it

    typer.echo(common_settings_help(), nl=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; 2 comes with one line on stderr."""
    try:
        return int(app(arguments, prog_name="fleetprice", standalone_mode=False) or 0)
    except typer.TyperException as error:
        sentence = error.format_message().replace("\n", " ").rstrip(". ")
        return _refuse(f"{sentence} (--help lists commands and flags)")
    except NeedsAttention as error:
        return _refuse(str(error))
    except typer.Abort:
        return 1


def _refuse(sentence: str) -> int:
    print(f"fleetprice: {sentence}", file=sys.stderr)  # noqa: T201 - the one line that a person reads
    return 2


if __name__ == "__main__":
    sys.exit(main())
