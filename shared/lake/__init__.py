"""The data lake: client, dead letters, Parquet files, and the chains of slots in the raw zone."""
