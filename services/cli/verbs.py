"""What each verb of `fleetprice` runs, and how: its service is imported only then."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperCommand, TyperGroup

from shared.service.errors import MissingExtra


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
    "up": Verb("services.cli.up", "UpSettings", "local", _STARTED_BY_UP, ("onnxruntime",)),
    "emulator": Verb("services.emulator", "EmulatorSettings", "emulator"),
    "simulate": Verb("services.simulator", "SimulatorSettings", "simulator"),
    "ingest": Verb("services.ingest", "IngestSettings", "ingest"),
    "compact": Verb("services.compaction", "CompactionSettings", "compaction"),
    "score": Verb("services.scorer", "ScorerSettings", "scorer"),
    "train": Verb("services.trainer", "TrainerSettings", "trainer"),
    "tail": Verb("services.cli.tail", "TailSettings", "local"),
    "dead-letters": Verb("services.cli.dead_letters", "DeadLettersSettings", "local"),
    "bench": Verb("services.cli.bench", "BenchSettings", "local"),
    "verify": Verb("services.cli.verify", "VerifySettings", "local"),
    "chaos": Verb("services.cli.chaos", "ChaosSettings", "local", _STARTED_BY_CHAOS, ("onnxruntime",)),
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
    from shared.service.help import settings_help  # noqa: PLC0415 - only help needs it

    verb = VERBS[name]
    formatter.write("\n" + settings_help(part_of(verb, "settings", verb.settings)))


Data = Annotated[Path | None, Option(help="Where everything is kept (default .fleetprice)")]
Json = Annotated[bool | None, Option("--json", help="For machines: JSON on stdout, nothing else there")]
Port = Annotated[int | None, Option(help="0: any free one")]
PortBase = Annotated[int | None, Option(help="Lay all ports out from this one; 0: any free ones")]
Vehicles = Annotated[int | None, Option(help="Vehicles in the fleet")]
Rate = Annotated[float | None, Option("--rate", help="Readings a vehicle sends, hertz")]
Pack = Annotated[int | None, Option(help="Readings in one event; 1: single JSON")]
Seed = Annotated[int | None, Option(help="The same seed gives the same result")]


def run_verb(name: str, flags: Mapping[str, object]) -> None:
    """Run the verb with the flags that were given, each named like the setting that it is over."""
    from shared.service.settings import read_settings  # noqa: PLC0415 - `fleetprice --help` does without

    verb = VERBS[name]
    for package in verb.also_needs:
        if find_spec(package) is None:
            raise _missing(name, verb)
    for started in verb.starts:  # a mistake in their settings is told before anything runs
        read_settings(part_of(VERBS[started], "settings", VERBS[started].settings))
    main_of = part_of(verb, "__main__", "main")
    raise typer.Exit(main_of({flag: value for flag, value in flags.items() if value is not None}))


def part_of(verb: Verb, module: str, attribute: str) -> Any:
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
