"""What docker-compose.yml says of a service, as Compose would read it (pure)."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?::-(?P<usual>[^}]*)|:\?(?P<complaint>[^}]*))?\}")


class NotSet(Exception):
    """A variable that the file asks for has no value."""


def interpolated(text: str, values: Mapping[str, str]) -> str:
    """`${NAME}`, `${NAME:-usual}` and `${NAME:?complaint}` by their values; raises NotSet."""

    def value(found: re.Match[str]) -> str:
        given = values.get(found["name"], "")
        if not given and found["complaint"] is not None:
            raise NotSet(f"{found['name']}: {found['complaint']}")
        return given or found["usual"] or ""

    return _VARIABLE.sub(value, text)


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the file. `volumes` names each folder of the container that a named volume is at."""

    name: str
    environment: Mapping[str, str]
    volumes: Mapping[str, str]
    needs: tuple[str, ...]
    stop_grace_s: float
    is_read_only: bool
    drops_all: bool

    @classmethod
    def of(cls, name: str, spec: Mapping[str, Any], values: Mapping[str, str]) -> "Service":
        environment = spec.get("environment", {})
        plain = [one for one in spec.get("volumes", []) if isinstance(one, str)]
        return cls(
            name=name,
            environment={key: interpolated(str(text), values) for key, text in environment.items()},
            volumes={inside: volume for volume, inside in (one.split(":")[:2] for one in plain)},
            needs=tuple(spec.get("depends_on", {})),
            stop_grace_s=float(spec.get("stop_grace_period", "10s").removesuffix("s")),
            is_read_only=spec.get("read_only", False),
            drops_all=spec.get("cap_drop") == ["ALL"],
        )


def services_of(
    document: Mapping[str, Any], profile: str, values: Mapping[str, str]
) -> Mapping[str, Service]:
    """The services that start with `profile`, those that belong to none included."""
    return {
        name: Service.of(name, spec, values)
        for name, spec in document["services"].items()
        if profile in spec.get("profiles", [profile])
    }


def in_order(services: Mapping[str, Service]) -> Iterator[Service]:
    """Each after those that it needs."""
    started: set[str] = set()
    while len(started) < len(services):
        ready = [s for s in services.values() if s.name not in started and started.issuperset(s.needs)]
        if not ready:
            raise ValueError(f"these need each other: {sorted(set(services) - started)}")
        for service in ready:
            started.add(service.name)
            yield service
