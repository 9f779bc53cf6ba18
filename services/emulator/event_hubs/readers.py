"""The readers of a partition in a consumer group: those with an epoch, and at most five without one."""

from typing import Protocol

from services.emulator.event_hubs import refusals
from shared.amqp.refusal import Refusal

MAX_READERS = 5


class Reader(Protocol):
    """A receiving link; its `epoch` is None if it shares the partition with other readers."""

    name: str
    epoch: int | None

    def detach(self, refusal: Refusal) -> None: ...


class PartitionReaders:
    """The readers of one partition in one consumer group."""

    def __init__(self) -> None:
        self._readers: list[Reader] = []

    def admit(self, reader: Reader) -> None:
        """Admit `reader` and, if it has an epoch, detach all other readers.

        Raises Refusal if a reader with a higher epoch is present, or if `reader` has no epoch and there is
        either a reader with one or no room for another without.
        """
        held = max((other.epoch for other in self._readers if other.epoch is not None), default=None)
        if reader.epoch is None:
            if held is not None:
                raise refusals.epoch_required(reader.name, held)
            if len(self._readers) >= MAX_READERS:
                raise refusals.too_many_readers(MAX_READERS)
        else:
            if held is not None and reader.epoch < held:
                raise refusals.epoch_too_low(reader.name, reader.epoch, held)
            self._displace(reader.name, reader.epoch)
        self._readers.append(reader)

    def _displace(self, by_name: str, by_epoch: int) -> None:
        displaced, self._readers = self._readers, []
        for other in displaced:
            other.detach(refusals.stolen(other.name, other.epoch or 0, by_name, by_epoch))

    def leave(self, reader: Reader) -> None:
        if reader in self._readers:
            self._readers.remove(reader)
