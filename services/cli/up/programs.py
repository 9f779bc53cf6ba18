"""The services of the stack as programs: modules and their environments (pure).

Variables that the person set for a service are kept, except those that connect the services with each other.
"""

from collections.abc import Mapping
from pathlib import Path

from services.cli.up.log_files import log_path
from services.cli.up.ports import Ports
from services.cli.up.settings import UpSettings
from shared.service.processes.process import Program
from shared.service.settings import PREFIX

Environment = Mapping[str, str]

# In the order in which they start; the fleet starts last and stops first.
SERVICES = ("emulator", "ingest", "scorer", "simulator", "verify")
_HUBS_TIMES_PARTITIONS = 8

# For one person's machine: a restart takes seconds, and new files appear soon.
_LOCAL_DEFAULTS = {
    f"{PREFIX}BALANCING_INTERVAL_S": "2",
    f"{PREFIX}OWNERSHIP_EXPIRY_S": "10",
    f"{PREFIX}INGEST_ROLL_MAX_AGE_S": "5",
}


def emulator(settings: UpSettings, ports: Ports, inherited: Environment) -> Program:
    own = {
        "EMULATOR_EVENT_HUBS_PORT": ports.event_hubs,
        "EMULATOR_EVENT_HUBS_TLS_PORT": ports.event_hubs_tls,
        "EMULATOR_EVENT_HUBS_WS_PORT": ports.event_hubs_ws,
        "EMULATOR_STORAGE_PORT": ports.storage,
        "EMULATOR_ADMIN_PORT": ports.admin,
        "EMULATOR_DATA": settings.data.absolute(),
        "EMULATOR_AS_JSON": "true",
    }
    if f"{PREFIX}EMULATOR_RETENTION_BYTES" not in inherited:
        own["EMULATOR_RETENTION_BYTES"] = settings.hub_bytes // _HUBS_TIMES_PARTITIONS
    return _program("emulator", settings.data, inherited, own, pipes_stdout=True)


def ingest(data: Path, ports: Ports, connected: Environment) -> Program:
    return _program("ingest", data, connected, {"INGEST_METRICS_PORT": ports.ingest_metrics})


def scorer(data: Path, ports: Ports, connected: Environment) -> Program:
    return _program("scorer", data, connected, {"SCORER_HTTP_PORT": ports.scorer})


def simulator(settings: UpSettings, ports: Ports, connected: Environment, run_id: str) -> Program:
    own = {
        "SIMULATOR_DATA": settings.data.absolute(),
        "SIMULATOR_VEHICLES": settings.vehicles,
        "SIMULATOR_RATE_HZ": settings.rate_hz,
        "SIMULATOR_PACK": settings.pack,
        "SIMULATOR_SEED": settings.seed,
        "SIMULATOR_SECONDS": settings.seconds or 0,
        "SIMULATOR_RUN_ID": run_id,  # a restarted fleet still ends when this run does
        "SIMULATOR_METRICS_PORT": ports.simulator_metrics,
    }
    return _program("simulator", settings.data, connected, own, may_finish=True)


def verify(data: Path, connected: Environment) -> Program:
    """Return the program of a verification.

    The verification reads predictions at once, and begins to judge when its stdin ends.
    """
    own = {"VERIFY_DATA": data.absolute(), "VERIFY_AS_JSON": "true", "VERIFY_AWAIT_INPUT_END": "true"}
    return _program("verify", data, connected, own, module="services.cli.verify", pipes_stdout=True)


def connected_environment(inherited: Environment, event_hubs: str, storage: str) -> dict[str, str]:
    """Return the environment of every service that connects to the emulator.

    `event_hubs` and `storage` are the emulator's connection strings.
    """
    return {
        **_LOCAL_DEFAULTS,
        **inherited,
        f"{PREFIX}EVENT_HUBS": event_hubs,
        f"{PREFIX}STORAGE": storage,
        f"{PREFIX}CHECKPOINTS": "",
    }


def consumer_groups(connected: Environment) -> dict[str, str]:
    """Return the consumer group of each service that reads the hubs, by the service's name."""
    return {"ingest": connected.get(f"{PREFIX}INGEST_CONSUMER_GROUP", "ingest"), "scorer": "scorer"}


def _program(
    name: str,
    data: Path,
    environment: Environment,
    own: Mapping[str, object],
    *,
    module: str | None = None,
    may_finish: bool = False,
    pipes_stdout: bool = False,
) -> Program:
    variables = {f"{PREFIX}{variable}": str(value) for variable, value in own.items()}
    return Program(
        name,
        module or f"services.{name}",
        {**environment, **variables},
        log_path(data, name),
        may_finish=may_finish,
        pipes_stdout=pipes_stdout,
    )
