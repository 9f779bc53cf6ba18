import pytest
from azure.eventhub._buffered_producer._partition_resolver import generate_hash_code
from hypothesis import given
from hypothesis import strategies as st

from services.emulator.event_hubs.partition_key import hash_code, partition_of


@given(st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=80))
def test_hashes_are_the_services_own(key):
    """A key hashes as in the SDKs that place events themselves."""
    assert hash_code(key) == generate_hash_code(key)


@pytest.mark.parametrize(
    ("key", "hashed", "count", "partition"), [("vehicle-7", -429, 4, 1), ("vehicle-7", -429, 32, 13)]
)
def test_negative_hashes_are_placed_as_by_the_service(key, hashed, count, partition):
    """The remainder is truncated toward zero, where Python's own would floor."""
    assert hash_code(key) == hashed
    assert partition_of(key, count) == partition
