"""Dead letters: what ingest writes of records that cannot be decoded, and what is said of those sent again."""
