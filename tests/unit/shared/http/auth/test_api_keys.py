from hashlib import sha256

import pytest

from shared.http.auth.api_keys import ApiKeys, parse_hashed_keys
from shared.service.errors import SettingsError


def line(name, key):
    return f"{name}:sha256:{sha256(key.encode()).hexdigest()}"


def test_a_key_names_its_caller():
    """Each key has one caller, who may have several; any other text has none."""
    lines = [
        "# ours",
        "",
        f"  {line('fleet', 'a')}\n",
        line("fleet", "b"),
        line("partner", "c").upper().lower(),
    ]
    keys = ApiKeys(parse_hashed_keys(lines, "file"))
    assert [keys.find_caller(key) for key in "abcd"] == ["fleet", "fleet", "partner", None]
    assert keys.find_caller("") is None
    assert keys.find_caller("\udcff") is None


def test_no_key_is_kept():
    """The process's memory and the file hold digests, never a key."""
    keys = ApiKeys(parse_hashed_keys([line("fleet", "a-secret-key")], "file"))
    assert "a-secret-key" not in repr(vars(keys))


@pytest.mark.parametrize(
    "text",
    [
        "fleet",
        "fleet:a",
        "fleet:sha256:",
        "fleet:md5:" + "0" * 64,
        ":sha256:" + "0" * 64,
        "a b:sha256:" + "0" * 64,
    ],
)
def test_a_line_that_is_no_hashed_key_is_named(text):
    """A key in clear text, or cut short, is refused with the file and the line."""
    with pytest.raises(SettingsError, match=r"keys\.txt, line 2"):
        parse_hashed_keys(["# comment", text], "keys.txt")


def test_a_key_of_two_callers_is_refused():
    """Two callers with the same key cannot be distinguished."""
    with pytest.raises(SettingsError, match="same key"):
        parse_hashed_keys([line("fleet", "a"), line("partner", "a")], "keys.txt")
