"""The data lake: its client, the raw zone's chains of slots, dead letters and Parquet files."""
