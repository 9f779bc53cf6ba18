"""The footer of a raw file, for tests of what a file holds."""

from shared.lake.slots.footer import Footer
from shared.lake.slots.slot import hour_folder

HOUR = 497_184
FOOTER = Footer(
    first_seq=10,
    last_seq=19,
    last_offset="1234",
    next_first=20,
    next_folder=hour_folder(HOUR + 1),
    rows=9,
    bad=1,
    gap=0,
    attempt="a1",
    dead_letter="dead-letters/telemetry/p03-00000000000000000010-a1.ndjson",
    schema_version=1,
    created_at="2026-01-01T00:00:00Z",
)
