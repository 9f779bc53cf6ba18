"""What a person sees who runs an image with a bad setting: one line that says what to change, exit code 2."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.service.run import EXIT_NEEDS_ATTENTION
from tests.images.container import Container, Image, bundle, named_volume
from tests.images.store import Store
from tests.support.compose import Service

_TIMEOUT_S = 60.0
_PUBLIC_HUBS = (
    "Endpoint=sb://emulator;SharedAccessKeyName=RootManageSharedAccessKey;SharedAccessKey=SAS_KEY_VALUE;"
    "UseDevelopmentEmulator=true;"
)
_NOT_SET = "FLEETPRICE_EVENT_HUBS is not set: name a connection string or a namespace"
_PUBLIC = "FLEETPRICE_EVENT_HUBS uses the well-known development key beyond loopback"


class NotRefused(Exception):
    """An image started with what it should refuse, or said something else."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """`given` goes over what the compose file sets, None takes it away; `said` is in the line."""

    service: str
    given: Mapping[str, str | None]
    said: str
    is_volume_writable: bool = True


REFUSALS = (
    Refusal(
        "emulator", {"FLEETPRICE_EMULATOR_KEY": None}, "needs a key of your own: set FLEETPRICE_EMULATOR_KEY"
    ),
    Refusal("emulator", {}, "/data cannot be used (Permission denied)", is_volume_writable=False),
    Refusal("ingest", {"FLEETPRICE_EVENT_HUBS": None}, _NOT_SET),
    Refusal("ingest", {"FLEETPRICE_EVENT_HUBS": _PUBLIC_HUBS}, _PUBLIC),
    Refusal(
        "ingest", {"FLEETPRICE_INGEST_ROL_MAX_AGE_S": "5"}, "did you mean FLEETPRICE_INGEST_ROLL_MAX_AGE_S?"
    ),
    Refusal("scorer", {"FLEETPRICE_EVENT_HUBS": None}, _NOT_SET),
    Refusal("scorer", {"FLEETPRICE_SCORER_API_KEYS": None}, "give keys of your own"),
    Refusal("simulator", {"FLEETPRICE_EVENT_HUBS": _PUBLIC_HUBS}, _PUBLIC),
    Refusal("simulator", {}, "/data/simulator cannot be used (Permission denied)", is_volume_writable=False),
    Refusal("trainer", {}, "training data: no file /listings"),
    Refusal("trainer", {"FLEETPRICE_TRAINER_OUT": None}, "FLEETPRICE_TRAINER_OUT: Field required"),
)


def refuse_all(store: Store, folder: Path, services: Mapping[str, Service]) -> Iterator[dict[str, object]]:
    """Try each of them; what was said. Raises NotRefused."""
    for number, refusal in enumerate(REFUSALS, start=1):
        with store.mounted(refusal.service) as image:
            container = _container(refusal, services[refusal.service], image, folder / f"refusal-{number}")
            container.start()
            try:
                code = container.wait(_TIMEOUT_S)
            finally:
                container.kill()
        lines = container.log().splitlines()
        if code != EXIT_NEEDS_ATTENTION or len(lines) != 1 or refusal.said not in lines[0]:
            raise NotRefused(f"{refusal}: exit code {code}, {lines}")
        yield {"service": refusal.service, "exit_code": code, "said": lines[0]}


def _container(refusal: Refusal, service: Service, image: Image, folder: Path) -> Container:
    environment = {
        name: value for name, value in {**service.environment, **refusal.given}.items() if value is not None
    }
    at = {inside: folder / volume for inside, volume in service.volumes.items()}
    for volume in at.values():
        if refusal.is_volume_writable:
            named_volume(volume, image)
        else:
            volume.mkdir(parents=True)  # root's own
    return Container(folder.name, image, folder, bundle(image, environment, at, None))
