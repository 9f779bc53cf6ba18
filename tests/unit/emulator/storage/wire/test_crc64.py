from hypothesis import given, settings
from hypothesis import strategies as st

from services.emulator.storage.wire.crc64 import crc64, file_crc64


def test_the_polynomial_is_the_services():
    """The checksum matches the published check value of this CRC-64."""
    assert crc64(b"123456789") == 0xAE8B14860A799888
    assert crc64(b"") == 0


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 300))
def test_it_goes_on_where_it_stopped(data, cut):
    """The checksum in pieces equals the checksum of the whole."""
    assert crc64(data[cut:], crc64(data[:cut])) == crc64(data)


def test_of_a_file(tmp_path):
    """The checksum of a file is a header value: base64 of the little-endian bytes."""
    file = tmp_path / "file"
    file.write_bytes(b"123456789")
    assert file_crc64(file) == "iJh5CoYUi64="
