"""Tagging of replayed rows: the dead letter that an event replays is written into `extra` (pure)."""

from dataclasses import replace

import pyarrow as pa

from shared.codec.body_decoder import Decoded
from shared.contract.columns import EXTRA
from shared.contract.dead_letter_id import DeadLetterId, add_replay_of


def tag_replayed_rows(decoded: Decoded, letter: DeadLetterId) -> Decoded:
    """Return the records with the id of the replayed dead letter added to the `extra` of each."""
    batch = decoded.batch
    if batch is None:
        return replace(decoded, extras=[add_replay_of(extra, letter) for extra in decoded.extras])
    place = batch.schema.get_field_index(EXTRA.name)
    extras = [add_replay_of(extra, letter) for extra in batch.column(place).to_pylist()]
    return replace(decoded, batch=batch.set_column(place, EXTRA, pa.array(extras, EXTRA.type)))
