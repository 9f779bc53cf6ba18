from hashlib import sha256

import pytest

from shared.http.auth.api_keys import ApiKeys, parse_hashed_keys
from shared.service.errors import SettingsError


def line(name, key):
    return f"{name}:sha256:{sha256(key.encode()).hexdigest()}"


def test_a_key_names_its_caller():
    """Each key belongs to one caller, who may have several; whatever else is sent belongs to nobody."""
    lines = [
        "# ours",
        "",
        f"  {line('fleet', 'a')}\n",
        line("fleet", "b"),
        line("partner", "c").upper().lower(),
    ]
    keys = ApiKeys(parse_hashed_keys(lines, "file"))
    assert [keys.name_of(key) for key in "abcd"] == ["fleet", "fleet", "partner", None]
    assert keys.name_of("") is None
    assert keys.name_of("\udcff") is None


def test_what_is_kept_holds_no_key():
    """Whoever reads the process's memory or the file finds digests, never a key."""
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


def test_one_key_has_one_owner():
    """Two callers with the same key could not be told apart."""
    with pytest.raises(SettingsError, match="same key"):
        parse_hashed_keys([line("fleet", "a"), line("partner", "a")], "keys.txt")
