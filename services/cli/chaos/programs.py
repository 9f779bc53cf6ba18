"""The programs of a chaos run: their modules and environments (pure)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from services.cli.chaos.schedule import Shape
from services.cli.chaos.settings import ChaosSettings
from shared.service.processes.process import Program
from shared.service.settings import PREFIX

Environment = Mapping[str, str]

# A killed process is restarted without limit: the drain shows whether it makes progress.
_MAX_SHORT_LIVES = 10_000
_LONGEST_DELAY_S = 0.5
_RATE_HZ = 2.0
_SEED_STRIDE = 1_000_003
# Small, because retention removes whole segments.
_SEGMENT_BYTES = 65_536
# Writers share nothing but the lake, unless they share a consumer group: then ownership too.
SHARED_CHECKPOINTS, OWN_CHECKPOINTS = "checkpoints", "checkpoints-own"
STRAGGLERS_CHECKPOINTS = "checkpoints-straggler"
CONTAINERS = (SHARED_CHECKPOINTS, OWN_CHECKPOINTS, STRAGGLERS_CHECKPOINTS)
OWN_GROUP, STRAGGLERS_GROUP = "ingest-own", "ingest-straggler"
GROUPS = ("$Default", "ingest", "scorer", OWN_GROUP, STRAGGLERS_GROUP)
_FAILPOINTS = {
    "ingest": "ingest_staged=11*3,ingest_renamed=17*3",
    "scorer": "scorer_sent=60*2",
    "emulator": "hub_appended=400*2,storage_committed=400*2",
}

_QUICK = {
    "BALANCING_INTERVAL_S": "0.5",
    # On a loaded machine an owner renews late: with less it would lose its partitions all the time.
    "OWNERSHIP_EXPIRY_S": "3",
    "LOG_FORMAT": "json",
    "CHECKPOINTS": "",
    "FILE_SYSTEM": "lake",
    "TELEMETRY_HUB": "telemetry",
    "PREDICTIONS_HUB": "predictions",
}


class Programs:
    """The programs of one run. Each inherits the caller's environment variables that the run does not set."""

    def __init__(self, settings: ChaosSettings, shape: Shape, data: Path, inherited: Environment) -> None:
        self._settings = settings
        self._shape = shape
        self._data = data
        quick = {f"{PREFIX}{name}": value for name, value in _QUICK.items()}
        failpoints_log = {f"{PREFIX}FAILPOINTS_LOG": str(data / "logs" / "failpoints")}
        self._environment = {**inherited, **quick, **failpoints_log}

    def emulator(self, ports: Mapping[str, int]) -> Program:
        """Return the emulator. `ports` fixes the port of each listener by name.

        Because the ports are fixed, clients can reconnect after a restart of the emulator.
        """
        own: dict[str, object] = {"DATA": self._data, "AS_JSON": "true", "TLS": "false"}
        own |= {"SEGMENT_BYTES": _SEGMENT_BYTES, "EVENT_HUBS_WS_PORT": 0}
        own |= {f"{name.upper()}_PORT": port for name, port in ports.items()}
        return self._program("emulator", "emulator", own, pipes_stdout=True)

    def connect(self, event_hubs: str, storage: str) -> None:
        """Let every program created from now on use the emulator at these connection strings."""
        self._environment |= {f"{PREFIX}EVENT_HUBS": event_hubs, f"{PREFIX}STORAGE": storage}

    def writers(self) -> Sequence[Program]:
        """Return the writers of the run.

        The last writer has a separate consumer group and checkpoints; the others share theirs. Whenever the
        first writer opens a partition, it sweeps staged files that are older than 1 s.
        """
        *sharing, last = [f"ingest-{number}" for number in range(self._settings.writers)]
        first, *others = [self.sharing_writer(name, sweeps=name == sharing[0]) for name in sharing]
        return first, *others, self._writer(last, _FAILPOINTS["ingest"], OWN_GROUP, OWN_CHECKPOINTS)

    def sharing_writer(self, name: str, *, sweeps: bool = False) -> Program:
        return self._writer(name, _FAILPOINTS["ingest"], "ingest", SHARED_CHECKPOINTS, sweeps=sweeps)

    def straggler(self) -> Program:
        """Return one more writer, with a separate consumer group and checkpoints and no failpoints.

        The straggler is for the retention fault, which stops it until retention has overtaken it.
        """
        return self._writer("ingest-straggler", "", STRAGGLERS_GROUP, STRAGGLERS_CHECKPOINTS)

    def _writer(
        self, name: str, failpoints: str, group: str, container: str, *, sweeps: bool = False
    ) -> Program:
        # Without shared ownership, writers of one group would cut each other's links again and again.
        own: dict[str, object] = {
            "CONSUMER_GROUP": group,
            "ROLL_MAX_AGE_S": self._shape.roll_max_age_s,
            "ROLL_MAX_ROWS": self._shape.roll_max_rows,
            "STAGING_MAX_AGE_S": 1.0 if sweeps else 900.0,
            "METRICS_PORT": 0,
        }
        shared = {"CHECKPOINT_CONTAINER": container, "FAILPOINTS": failpoints}
        return self._program(name, "ingest", own, shared)

    def scorers(self) -> Sequence[Program]:
        """Return two scorers that share the partitions.

        If one is stopped, the other takes over; a stopped scorer that continues later is a zombie.
        """
        own: dict[str, object] = {"HTTP_PORT": 0, "CHECKPOINT_INTERVAL_S": 0.3}
        return [self._program(name, "scorer", own) for name in ("scorer-0", "scorer-1")]

    def fleet(self, number: int, seconds: float) -> Program:
        """Return a simulated fleet that sends for `seconds`.

        Fleet 0 is the load of the run; fleets with a higher number have other seeds and extend the load.
        """
        settings, shape = self._settings, self._shape
        own = {
            "DATA": self._data,
            "VEHICLES": max(1, int(settings.rate / _RATE_HZ)),
            "RATE_HZ": _RATE_HZ,
            "SEED": (settings.seed + number * _SEED_STRIDE) % 2**31,
            "SECONDS": seconds,
            "RUN_ID": f"chaos-{number}",
            "PACK": shape.pack,
            "PACK_FORMAT": shape.pack_format,
            "BAD_SHARE": shape.bad_share,
            "METRICS_PORT": 0,
        }
        return self._program(f"fleet-{number}", "simulator", own, may_finish=True)

    def compaction(self, name: str) -> Program:
        """Return a compaction that merges even the newest files, and sweeps staged files older than 1 s."""
        own = {"OLDER_THAN_S": 0, "TARGET_BYTES": 65_536, "STAGING_MAX_AGE_S": 1.0, "AS_JSON": "true"}
        return self._program(name, "compaction", own, may_finish=True)

    def verify(self) -> Program:
        """Return a verification of the run's directory, which uses no running emulator."""
        program = self._program(
            "verify", "verify", {"DATA": self._data, "AS_JSON": "true"}, pipes_stdout=True
        )
        hidden = {f"{PREFIX}EVENT_HUBS": "", f"{PREFIX}STORAGE": ""}
        return replace(program, module="services.cli.verify", environment={**program.environment, **hidden})

    def _program(
        self,
        name: str,
        service: str,
        own: Mapping[str, object],
        shared: Mapping[str, str] = {},
        *,
        may_finish: bool = False,
        pipes_stdout: bool = False,
    ) -> Program:
        variables = {f"{PREFIX}{service.upper()}_{variable}": str(value) for variable, value in own.items()}
        variables |= {f"{PREFIX}{variable}": value for variable, value in shared.items()}
        failpoints = _FAILPOINTS.get(service, "")
        return Program(
            name,
            f"services.{service}",
            {**self._environment, f"{PREFIX}FAILPOINTS": failpoints, **variables},
            self._data / "logs" / f"{name}.log",
            may_finish=may_finish,
            pipes_stdout=pipes_stdout,
            max_short_lives=_MAX_SHORT_LIVES,
            longest_delay_s=_LONGEST_DELAY_S,
        )
