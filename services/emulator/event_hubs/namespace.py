"""One Event Hubs namespace: the state that its connections share."""

from pathlib import Path

from services.emulator.clock import Clock
from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.faults import Faults
from services.emulator.event_hubs.hub_description import MAX_RETENTION_HOURS
from services.emulator.event_hubs.hubs import HubRegistry
from services.emulator.event_hubs.sas import KeyRing
from services.emulator.event_hubs.served_time import ServedTime
from services.emulator.event_hubs.throughput_bucket import Throughput
from services.emulator.identity.issuer import Issuer
from services.emulator.log.durability import GroupCommit

# The service closes a silent connection without links after that.
IDLE_S = 300.0
_MS_PER_HOUR = 3_600_000


class Namespace:
    """Hubs, keys, faults, throughput and clock of one namespace."""

    def __init__(
        self,
        hubs: HubRegistry,
        keys: KeyRing,
        commits: GroupCommit,
        *,
        retention_bytes: int | None,
        served_file: Path,
        issuer: Issuer | None = None,
        throughput_units: float | None = None,
    ) -> None:
        """Make a namespace over the given hubs and keys.

        `retention_bytes` bounds each partition; if it is None, only the age limit of each hub applies.
        `served_file` keeps how long the hubs were served. If `issuer` is None, every JSON web token is
        refused.
        """
        self.hubs = hubs
        self.keys = keys
        self.issuer = issuer
        self.faults = Faults()
        self.throughput = Throughput(throughput_units)
        self.clock = Clock()
        self.served_time = ServedTime(served_file, self.now_ms)
        self.idle_s = IDLE_S
        self.commits = commits
        self._retention_bytes = retention_bytes

    def now_ms(self) -> int:
        """Return the enqueued time for an event that is appended now, in milliseconds."""
        return int(self.clock() * 1000)

    def now_s(self) -> float:
        return self.clock.machine()

    def expire(self) -> None:
        """Delete events beyond the limits of age and size; only whole segments are deleted.

        Age counts only while the hubs are served.
        """
        self.served_time.advance()
        for hub in self.hubs:
            max_age_ms = int(min(hub.description.retention_hours, MAX_RETENTION_HOURS) * _MS_PER_HOUR)
            before_ms = self.served_time.before(max_age_ms)
            now_ms = 0 if before_ms is None else before_ms + max_age_ms
            for log in hub.logs:
                log.expire(now_ms, max_age_ms, self._retention_bytes)

    def delete_hub(self, name: str) -> None:
        """Detach the hub's links and delete the hub. Raises HubUnknown if there is no such hub."""
        hub = self.hubs.find(name)
        if hub is not None:
            gone = refusals.entity_not_found(hub.name)
            for link in [link for link in self.faults.links if link.hub_name == hub.name]:
                link.detach(gone)
        self.hubs.delete(name)
