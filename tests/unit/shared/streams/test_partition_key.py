import pytest
from azure.eventhub._buffered_producer import _partition_resolver
from hypothesis import given
from hypothesis import strategies as st

from shared.streams.partition_key import find_partition, hash_key


def test_negative_hash_is_truncated_toward_zero():
    """A vehicle with a negative hash has the same partition as in .NET, Java and JavaScript."""
    assert hash_key("vehicle-7") == -429
    assert find_partition("vehicle-7", 4) == 1


@given(st.text(st.characters(max_codepoint=127)))
def test_hash_agrees_with_the_sdk(key):
    """Every key of ASCII hashes as the unmodified SDK hashes it (which counts characters, not bytes)."""
    assert hash_key(key) == _partition_resolver.generate_hash_code(key)


@pytest.mark.parametrize("partition_count", [1, 3, 4, 32])
def test_partition_exists(partition_count):
    """Every vehicle has a partition, and all partitions have vehicles."""
    partitions = {find_partition(f"s1-v{index:06d}", partition_count) for index in range(500)}
    assert partitions == set(range(partition_count))
