from datetime import UTC, datetime

from services.cli.dead_letters.letter_view import format_letter
from services.cli.dead_letters.selection import Place
from services.cli.dead_letters.stored_letters import StoredLetter
from shared.lake.dead_letters import Letter
from shared.lake.slots.slot import ChainKey

AT = datetime(2026, 3, 1, tzinfo=UTC)


def stored_letter(body):
    letter = Letter("telemetry", 0, 7, "70", 0, AT, "malformed: x", None, body)
    return StoredLetter(Place(ChainKey("telemetry", 0), 7, 0), "2026-01-01T00:00:00Z", letter, "path")


def test_a_long_body_is_cut_and_says_so():
    """A megabyte does not flood the terminal."""
    shown = format_letter(stored_letter(b"x" * 100_000), None)
    assert len(shown) < 10_000
    assert "91,808 more bytes: --raw" in shown


def test_bytes_that_are_no_text_are_shown_in_hexadecimal():
    """Sixteen a row with their offset, and the printable ones beside them."""
    shown = format_letter(stored_letter(b"\xff" + b"A" * 16), None).splitlines()
    assert shown[-2].startswith("  00000000  ff 41 41")
    assert shown[-2].endswith(".AAAAAAAAAAAAAAA")
    assert shown[-1].startswith("  00000010  41 ")


def test_text_cannot_control_the_terminal():
    """A sender's control characters are replaced, lines are kept."""
    shown = format_letter(stored_letter(b"a\x1b[2J\nb"), True).splitlines()
    assert shown[-2:] == ["a\ufffd[2J", "b"]
    assert "  replayed      yes" in shown
