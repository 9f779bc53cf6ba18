"""Typical uses of pyarrow's own Azure file system: `python arrow_tour.py PORT KEY`.

It runs in its own process, because the C++ client aborts on an unexpected response.
"""

import sys

import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pyarrow.parquet as pq

port, key = sys.argv[1:]
authority = f"127.0.0.1:{port}"
lake = pafs.AzureFileSystem(
    account_name="devstoreaccount1",
    account_key=key,
    blob_storage_authority=authority,
    dfs_storage_authority=authority,
    blob_storage_scheme="http",
    dfs_storage_scheme="http",
)
table = pa.table({"a": list(range(10_000)), "p": [index % 3 for index in range(10_000)]})

lake.create_dir("lake/arrow/sub", recursive=True)
pq.write_table(table, "lake/arrow/sub/t.parquet", filesystem=lake)
assert pq.read_table("lake/arrow/sub/t.parquet", filesystem=lake).equals(table)

ds.write_dataset(
    table, "lake/arrow/ds", partitioning=["p"], partitioning_flavor="hive", format="parquet", filesystem=lake
)
assert ds.dataset("lake/arrow/ds", filesystem=lake, partitioning="hive").to_table().num_rows == table.num_rows

with lake.open_output_stream("lake/arrow/big.bin") as stream:
    for index in range(12):
        stream.write(bytes([index]) * 1_000_003)
with lake.open_input_file("lake/arrow/big.bin") as file:
    assert file.size() == 12 * 1_000_003
    assert file.read_at(3, 7 * 1_000_003 - 1) == b"\x06\x07\x07"

lake.move("lake/arrow/big.bin", "lake/arrow/moved.bin")
lake.copy_file("lake/arrow/moved.bin", "lake/arrow/copy.bin")
lake.move("lake/arrow/sub", "lake/arrow/sub2")
found = lake.get_file_info(pafs.FileSelector("lake/arrow", recursive=True))
assert [info.path.removeprefix("lake/arrow/") for info in found] == [
    "copy.bin",
    "ds",
    *(f"ds/p={part}{name}" for part in range(3) for name in ("", "/part-0.parquet")),
    "moved.bin",
    "sub2",
    "sub2/t.parquet",
]
kinds = [info.type for info in lake.get_file_info(["lake", "lake/arrow", "lake/none", "none/x"])]
assert kinds == [pafs.FileType.Directory] * 2 + [pafs.FileType.NotFound] * 2

storage_options = {
    "account_name": "devstoreaccount1",
    "account_key": key,
    "endpoint": f"http://{authority}/devstoreaccount1",
    "allow_http": "true",
}
frame = pl.scan_parquet("az://lake/arrow/sub2/*.parquet", storage_options=storage_options).collect()
assert frame.height == table.num_rows
frame.write_parquet("az://lake/arrow/polars.parquet", storage_options=storage_options)
assert pq.read_table("lake/arrow/polars.parquet", filesystem=lake).num_rows == table.num_rows

lake.delete_file("lake/arrow/copy.bin")
lake.delete_dir_contents("lake/arrow/ds")
lake.delete_dir("lake/arrow")
assert lake.get_file_info("lake/arrow").type == pafs.FileType.NotFound
