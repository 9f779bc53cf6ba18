from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.emulator.storage.model.acls import Mode, parse_entries, update_access
from services.emulator.storage.model.entries import DIRECTORY_ACCESS, Access
from services.emulator.storage.model.errors import Refused

RIGHTS = st.tuples(*(st.sampled_from([letter, "-"]) for letter in "rwx")).map("".join)
WHO = st.sampled_from(["user:", "user:a", "group:", "mask:", "other:", "default:user:", "default:group:b"])


@settings(deadline=None)
@given(st.dictionaries(WHO, RIGHTS, min_size=1))
def test_what_is_set_is_what_was_asked_for(entries):
    """A directory keeps every entry in order; a file drops the default entries."""
    text = ",".join(f"{who}:{rights}" for who, rights in entries.items())
    assert (
        update_access(DIRECTORY_ACCESS, Mode.SET, parse_entries(text, Mode.SET), is_directory=True).acl
        == text
    )
    on_file = update_access(Access(), Mode.SET, parse_entries(text, Mode.SET), is_directory=False).acl
    assert on_file == ",".join(part for part in text.split(",") if not part.startswith("default:"))


@settings(deadline=None)
@given(st.dictionaries(WHO, RIGHTS, min_size=1))
def test_what_was_added_is_taken_away_again(entries):
    """Removing added entries leaves the others unchanged."""
    added = update_access(DIRECTORY_ACCESS, Mode.MODIFY, entries, is_directory=True)
    removed = update_access(added, Mode.REMOVE, dict.fromkeys(entries, ""), is_directory=True)
    kept = [part for part in DIRECTORY_ACCESS.acl.split(",") if part.rpartition(":")[0] not in entries]
    assert removed.acl == ",".join(kept)


@settings(deadline=None)
@given(st.text(max_size=30), st.sampled_from(Mode))
def test_nonsense_is_refused(text, mode):
    """Any text is either parsed or refused as the client's error."""
    with suppress(Refused):
        assert parse_entries(text, mode)


@pytest.mark.parametrize("text", ["user::rwx", "user:a"])
def test_entries_to_remove_have_no_rights(text):
    """`user:a` removes an entry; with rights it is refused, as is a new entry without rights."""
    with pytest.raises(Refused):
        parse_entries(text, Mode.REMOVE if "rwx" in text else Mode.SET)
