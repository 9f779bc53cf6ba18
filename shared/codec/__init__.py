"""Decoders from event bodies to rows of a contract: the careful path, batch decoding and the fast path."""
