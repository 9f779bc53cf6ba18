"""Services of docker-compose.yml, read as Compose would read them. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<default>[^}]*)|:\?(?P<error>[^}]*))?\}")


class NotSet(Exception):
    """A variable that the file requires has no value."""


def interpolate(text: str, values: Mapping[str, str]) -> str:
    """Replace `${NAME}`, `${NAME:-default}` and `${NAME:?error}` by their values. Raises NotSet."""

    def value(found: re.Match[str]) -> str:
        given = values.get(found["name"], "")
        if not given and found["error"] is not None:
            raise NotSet(f"{found['name']}: {found['error']}")
        return given or found["default"] or ""

    return _VARIABLE.sub(value, text)


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the file. `volumes` maps a folder of the container to its named volume."""

    name: str
    environment: Mapping[str, str]
    volumes: Mapping[str, str]
    needs: tuple[str, ...]
    stop_grace_s: float
    is_read_only: bool
    drops_all: bool

    @classmethod
    def from_spec(cls, name: str, spec: Mapping[str, Any], values: Mapping[str, str]) -> "Service":
        environment = spec.get("environment", {})
        named = [one for one in spec.get("volumes", []) if isinstance(one, str)]
        return cls(
            name=name,
            environment={key: interpolate(str(text), values) for key, text in environment.items()},
            volumes={inside: volume for volume, inside in (one.split(":")[:2] for one in named)},
            needs=tuple(spec.get("depends_on", {})),
            stop_grace_s=float(spec.get("stop_grace_period", "10s").removesuffix("s")),
            is_read_only=spec.get("read_only", False),
            drops_all=spec.get("cap_drop") == ["ALL"],
        )


def read_services(
    document: Mapping[str, Any], profile: str, values: Mapping[str, str]
) -> Mapping[str, Service]:
    """Return the services that start with `profile`, including those without a profile."""
    return {
        name: Service.from_spec(name, spec, values)
        for name, spec in document["services"].items()
        if profile in spec.get("profiles", [profile])
    }


def sort_by_needs(services: Mapping[str, Service]) -> Iterator[Service]:
    """Yield each service after those that it needs. Raises ValueError if some need each other."""
    started: set[str] = set()
    while len(started) < len(services):
        ready = [s for s in services.values() if s.name not in started and started.issuperset(s.needs)]
        if not ready:
            raise ValueError(f"these need each other: {sorted(set(services) - started)}")
        for service in ready:
            started.add(service.name)
            yield service
