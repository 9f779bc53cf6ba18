"""Event bodies to rows of a contract: the careful path, batches of events, and the fast path."""
