"""Dead letters: what ingest writes of records that it cannot decode, and what their replays say of them."""
