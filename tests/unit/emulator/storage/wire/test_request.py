from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import (
    parse_byte_range,
    parse_http_date,
    parse_query,
    parse_resource,
    parse_source,
)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("/account", ("", "")),
        ("/account/", ("", "")),
        ("/account/lake", ("lake", "")),
        ("/account/lake/", ("lake", "")),
        ("/account/lake/a%20b/c", ("lake", "a b/c")),
        ("/account/lake/a%2Fb", ("lake", "a/b")),
        ("/account/lake/dir/", ("lake", "dir")),
        ("/lake/a", ("lake", "a")),
        ("/account/$root/a", ("$root", "a")),
    ],
)
def test_path_style_and_host_style(raw, found):
    """The account is the first segment of the path, or part of the host name."""
    assert parse_resource(raw, "account") == found


@pytest.mark.parametrize(
    "raw", ["/lake/a", "/lake/a?sv=2020&sig=x%3D", "/account/lake/a", "http://127.0.0.1:1/account/lake/a"]
)
def test_sources_as_each_sdk_names_them(raw):
    """The source of a rename or copy is a path or a URL, with or without account and token."""
    container, path, _ = parse_source(raw, "account")
    assert (container, path) == ("lake", "a")


def test_a_query_is_decoded_as_it_is_signed():
    """A plus stays a plus, names are case-insensitive, and repeated values are joined."""
    assert parse_query("Comp=list&sig=a%2Bb+c&x=1&X=2&flag") == {
        "comp": "list",
        "sig": "a+b+c",
        "x": "1,2",
        "flag": "",
    }


@given(st.text())
def test_no_url_ends_the_server(raw):
    """Any URL is either parsed or refused."""
    with suppress(Refused):
        parse_resource(f"/{raw}", "account")
    with suppress(Refused):
        parse_query(raw)
    with suppress(Refused):
        parse_source(raw, "account")


@given(st.text())
def test_no_date_ends_the_server(raw):
    """Any date is either parsed or refused."""
    with suppress(Refused):
        assert parse_http_date(raw, "Date").tzinfo is not None


@pytest.mark.parametrize(
    ("header", "bounds"),
    [("bytes=0-0", (0, 1)), ("bytes=2-", (2, 10)), ("bytes=2-99", (2, 10)), (" bytes=9-9 ", (9, 10))],
)
def test_a_byte_range_is_bounded_by_the_size(header, bounds):
    """A range without an end, or with one behind the file's, ends with the file."""
    assert parse_byte_range(header, 10, "range") == bounds


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("bytes=10-", "InvalidRange"),
        ("bytes=5-4", "InvalidRange"),
        ("bytes=-5", "InvalidHeaderValue"),
        ("bytes=0-1,4-5", "InvalidHeaderValue"),
        ("0-1", "InvalidHeaderValue"),
    ],
)
def test_a_byte_range_that_is_empty_or_malformed_is_refused(header, code):
    """A range behind the end is 416; a suffix or several ranges are not supported."""
    with pytest.raises(Refused) as refused:
        parse_byte_range(header, 10, "range")
    assert refused.value.code == code
