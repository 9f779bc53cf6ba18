from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import parse_http_date, parse_query, parse_resource, parse_source


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
