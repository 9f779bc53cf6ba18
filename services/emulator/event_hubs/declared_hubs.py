"""The hubs that a namespace must have when it opens, whatever the data directory already holds."""

from collections.abc import Iterable
from typing import NamedTuple

from services.emulator.event_hubs.hub_description import DEFAULT_GROUP
from services.emulator.event_hubs.hubs import HubRegistry
from shared.service.errors import NeedsAttention

FROM_THE_START = ("telemetry", "predictions")
GROUPS_FROM_THE_START = (DEFAULT_GROUP, "ingest", "scorer")


class DeclaredHub(NamedTuple):
    """A hub to create, or, if it exists, to extend by the consumer groups that it lacks."""

    name: str
    partition_count: int = 4
    consumer_groups: tuple[str, ...] = (DEFAULT_GROUP,)


def declare(hubs: HubRegistry, declared: Iterable[DeclaredHub]) -> None:
    """Create missing hubs and add missing consumer groups; existing hubs keep their events.

    Raises NeedsAttention, before anything is created, if a hub exists with another number of partitions.
    """
    wanted = [_add_own_groups(hub) for hub in declared]
    named = {hub.name.lower() for hub in wanted}
    wanted += [
        DeclaredHub(name, consumer_groups=GROUPS_FROM_THE_START)
        for name in FROM_THE_START
        if name not in named and hubs.find(name) is None
    ]
    for hub in wanted:
        _check_partitions(hubs, hub)
    for hub in wanted:
        _create(hubs, hub)


def _add_own_groups(hub: DeclaredHub) -> DeclaredHub:
    """Add the groups with which this project's services read `telemetry` and `predictions`."""
    if hub.name.lower() not in FROM_THE_START:
        return hub
    return hub._replace(consumer_groups=_unite(hub.consumer_groups, GROUPS_FROM_THE_START))


def _check_partitions(hubs: HubRegistry, declared: DeclaredHub) -> None:
    hub = hubs.find(declared.name)
    if hub is not None and hub.description.partition_count != declared.partition_count:
        raise NeedsAttention(
            f"hub {declared.name} has {hub.description.partition_count} partitions, "
            f"{declared.partition_count} are declared: declare as many, delete the hub, "
            "or choose another directory with --data"
        )


def _create(hubs: HubRegistry, declared: DeclaredHub) -> None:
    hub = hubs.find(declared.name)
    if hub is None:
        hubs.create(declared.name, declared.partition_count, declared.consumer_groups)
        return
    held = hub.description.consumer_groups
    if held is not None:
        groups = _unite(held, declared.consumer_groups)
        hubs.create(declared.name, declared.partition_count, groups, hub.description.retention_hours)


def _unite(groups: tuple[str, ...], others: tuple[str, ...]) -> tuple[str, ...]:
    """Merge two lists of groups; names that differ only in case are one group."""
    return tuple({group.lower(): group for group in (*others, *groups)}.values())
