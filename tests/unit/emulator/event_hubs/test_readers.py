from dataclasses import dataclass, field

import pytest

from services.emulator.event_hubs.readers import MAX_READERS, PartitionReaders
from shared.amqp.refusal import LINK_STOLEN, RESOURCE_LIMIT, Refusal


@dataclass
class Reader:
    name: str
    epoch: int | None = None
    detached: list[Refusal] = field(default_factory=list)

    def detach(self, refusal):
        self.detached.append(refusal)


def test_five_may_share_a_partition():
    """A sixth reader of a group is refused until one has left."""
    readers = PartitionReaders()
    five = [Reader(f"r{number}") for number in range(MAX_READERS)]
    for reader in five:
        readers.admit(reader)
    with pytest.raises(Refusal) as refused:
        readers.admit(Reader("sixth"))
    assert refused.value.condition == RESOURCE_LIMIT
    readers.leave(five[0])
    readers.admit(Reader("sixth"))


@pytest.mark.parametrize("epoch", [3, 4])
def test_an_equal_or_higher_epoch_takes_over(epoch):
    """The newer owner of a partition displaces the older one, which is detached."""
    readers = PartitionReaders()
    older = Reader("older", 3)
    readers.admit(older)
    readers.admit(Reader("newer", epoch))
    assert [refusal.condition for refusal in older.detached] == [LINK_STOLEN]


def test_an_epoch_displaces_all_readers_without_one():
    """Exclusive means exclusive."""
    readers = PartitionReaders()
    sharing = [Reader("a"), Reader("b")]
    for reader in sharing:
        readers.admit(reader)
    readers.admit(Reader("owner", 0))
    assert all(reader.detached for reader in sharing)


@pytest.mark.parametrize("epoch", [None, 2])
def test_a_lower_epoch_or_none_is_refused(epoch):
    """A reader with a lower epoch, or none, is refused, and the owner stays."""
    readers = PartitionReaders()
    owner = Reader("owner", 3)
    readers.admit(owner)
    with pytest.raises(Refusal) as refused:
        readers.admit(Reader("late", epoch))
    assert refused.value.condition == LINK_STOLEN
    assert not owner.detached
