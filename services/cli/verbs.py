"""The verbs of `fleetprice`, with the service of each verb. A service is imported only when its verb runs."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Option
from typer.core import TyperArgument, TyperCommand, TyperGroup

from shared.service.errors import InvalidOverride, SettingsError
from shared.service.extras import missing_extra, needs_extra


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb: the package to run, its settings class, and the extra that installs what it imports."""

    package: str
    settings: str
    extra: str
    starts: tuple[str, ...] = ()  # verbs that it runs as processes of their own
    also_needs: tuple[str, ...] = ()  # packages that only those import, or that it imports late


_STARTED_BY_UP = ("emulator", "ingest", "score", "simulate", "verify")
_STARTED_BY_CHAOS = (*_STARTED_BY_UP, "compact")

VERBS = {
    "up": Verb("services.cli.up", "UpSettings", "local", _STARTED_BY_UP, ("onnxruntime",)),
    "emulator": Verb("services.emulator", "EmulatorSettings", "emulator", also_needs=("cryptography", "jwt")),
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


class FlagCommand(TyperCommand):
    """A command whose errors name the flag that gave an invalid value, not the setting behind the flag."""

    def invoke(self, ctx: Any) -> Any:
        with _name_flags(self):
            return super().invoke(ctx)


class VerbCommand(FlagCommand):
    """The command of a verb. Its help ends with the settings of the verb's service."""

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        _write_settings(str(self.name), formatter)


class VerbGroup(TyperGroup):
    """A verb with commands of its own. Its help ends with the settings of the verb's service."""

    def invoke(self, ctx: Any) -> Any:
        with _name_flags(self):
            return super().invoke(ctx)

    def format_epilog(self, _ctx: Any, formatter: Any) -> None:
        _write_settings(str(self.name), formatter)


@contextmanager
def _name_flags(command: TyperCommand | TyperGroup) -> Iterator[None]:
    try:
        yield
    except InvalidOverride as error:
        parameter = next((one for one in command.params if one.name == error.field), None)
        if parameter is None:
            raise
        flag = parameter.metavar if isinstance(parameter, TyperArgument) else parameter.opts[0]
        raise SettingsError(f"{flag}: {error.reason}") from error


def _write_settings(name: str, formatter: Any) -> None:
    from shared.service.help import settings_help  # noqa: PLC0415 - only help needs it

    verb = VERBS[name]
    formatter.write("\n" + settings_help(import_part(verb, "settings", verb.settings)))


Data = Annotated[Path | None, Option(help="Directory of the stack's state (default .fleetprice)")]
Json = Annotated[bool | None, Option("--json", help="Write JSON to stdout, and nothing else")]
Port = Annotated[int | None, Option(help="0: any free port")]
PortBase = Annotated[int | None, Option(help="First of the ports, the others follow it; 0: any free ports")]
Vehicles = Annotated[int | None, Option(help="Vehicles in the fleet")]
Rate = Annotated[float | None, Option("--rate", help="Readings of each vehicle, hertz")]
Pack = Annotated[int | None, Option(help="Readings in one event; 1: single JSON")]
Seed = Annotated[int | None, Option(help="The same seed gives the same result")]


def run_verb(name: str, flags: Mapping[str, object]) -> None:
    """Run a verb. A flag that was given wins over the setting of the same name.

    Raises NeedsAttention, before anything runs, if a package is missing or a setting is wrong. The settings
    of the services that the verb starts are checked too.
    """
    from shared.service.settings import read_settings  # noqa: PLC0415 - `fleetprice --help` does without

    verb = VERBS[name]
    given = {flag: value for flag, value in flags.items() if value is not None}
    for package in verb.also_needs:
        if find_spec(package) is None:
            raise missing_extra(name, verb.extra, package)
    main = import_part(verb, "__main__", "main")
    read_settings(import_part(verb, "settings", verb.settings), given)
    for started in verb.starts:
        read_settings(import_part(VERBS[started], "settings", VERBS[started].settings))
    raise typer.Exit(main(given))


def import_part(verb: Verb, module: str, attribute: str) -> Any:
    """Import a module of a verb's package and return one of the module's attributes.

    Raises MissingExtra if a package that the module imports is not installed.
    """
    name = next(name for name, one in VERBS.items() if one is verb)
    with needs_extra(name, verb.extra):
        return getattr(import_module(f"{verb.package}.{module}"), attribute)
