"""Reading and writing of streams: in sequence, without loss, and with duplicates recognised."""
