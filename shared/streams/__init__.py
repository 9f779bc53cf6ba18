"""Reading and writing streams: in sequence, without loss, with doubles recognised."""
