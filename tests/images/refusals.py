"""Runs of each image with a bad setting: one line that says what to change, and exit code 2."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from shared.service.run import EXIT_NEEDS_ATTENTION
from tests.images.container import Container, Image, create_named_volume, runtime_config
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
    """An image started with settings that it must refuse, or printed another error."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Settings that a service must refuse.

    `settings` replace those of the compose file, None removes one; `message` is part of the error's line.
    """

    service: str
    settings: Mapping[str, str | None]
    message: str
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


def check_refusals(
    store: Store, folder: Path, services: Mapping[str, Service]
) -> Iterator[dict[str, object]]:
    """Run every image with settings that it must refuse, and yield its errors. Raises NotRefused."""
    for number, refusal in enumerate(REFUSALS, start=1):
        with store.mount(refusal.service) as image:
            container = _create_container(
                refusal, services[refusal.service], image, folder / f"refusal-{number}"
            )
            container.start()
            try:
                code = container.wait(_TIMEOUT_S)
            finally:
                container.kill()
        lines = container.log().splitlines()
        if code != EXIT_NEEDS_ATTENTION or len(lines) != 1 or refusal.message not in lines[0]:
            raise NotRefused(f"{refusal}: exit code {code}, {lines}")
        yield {"service": refusal.service, "exit_code": code, "message": lines[0]}


def _create_container(refusal: Refusal, service: Service, image: Image, folder: Path) -> Container:
    environment = {
        name: value
        for name, value in {**service.environment, **refusal.settings}.items()
        if value is not None
    }
    mounts = {inside: folder / volume for inside, volume in service.volumes.items()}
    for volume in mounts.values():
        if refusal.is_volume_writable:
            create_named_volume(volume, image)
        else:
            volume.mkdir(parents=True)  # owned by root
    return Container(folder.name, image, folder, runtime_config(image, environment, mounts, None))
