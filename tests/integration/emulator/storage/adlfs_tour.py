"""Typical uses of adlfs, alone, under pyarrow and under DuckDB: `python adlfs_tour.py PORT KEY`."""

import sys

import adlfs
import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

port, key = sys.argv[1:]
lake = adlfs.AzureBlobFileSystem(
    connection_string="DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;"
    f"AccountKey={key};BlobEndpoint=http://127.0.0.1:{port}/devstoreaccount1;"
)
assert lake.ls("") == ["checkpoints", "lake"]

with lake.open("lake/ad/x/a.txt", "wb") as file:
    file.write(b"hello")
lake.pipe({"lake/ad/x/b.txt": b"b" * 100, "lake/ad/y/c.txt": b"c", "lake/ad/y/d.csv": b"d"})
assert lake.cat("lake/ad/x/a.txt") == b"hello"
assert lake.ls("lake/ad") == ["lake/ad/x", "lake/ad/y"]
assert list(lake.walk("lake/ad")) == [
    ("lake/ad", ["x", "y"], []),
    ("lake/ad/x", [], ["a.txt", "b.txt"]),
    ("lake/ad/y", [], ["c.txt", "d.csv"]),
]
assert lake.glob("lake/ad/*/*.txt") == ["lake/ad/x/a.txt", "lake/ad/x/b.txt", "lake/ad/y/c.txt"]
assert (lake.du("lake/ad"), lake.isdir("lake/ad"), lake.exists("lake/none")) == (107, True, False)

lake.mv("lake/ad/x/a.txt", "lake/ad/x/moved.txt")
lake.cp("lake/ad/x/moved.txt", "lake/ad/x/copy.txt")
assert lake.find("lake/ad/x") == ["lake/ad/x/b.txt", "lake/ad/x/copy.txt", "lake/ad/x/moved.txt"]
assert lake.cat("lake/ad/x/copy.txt") == b"hello"

for line in (b"one\n", b"two\n"):
    with lake.open("lake/ad/log", "ab") as file:
        file.write(line)
assert lake.cat("lake/ad/log") == b"one\ntwo\n"

with lake.open("lake/ad/big", "wb", block_size=1 << 20) as file:
    for index in range(3):
        file.write(bytes([index]) * 1_000_000)
with lake.open("lake/ad/big", "rb") as file:
    file.seek(1_999_999)
    assert file.read(2) == b"\1\2"

table = pa.table({"id": list(range(1000)), "part": [index % 3 for index in range(1000)]})
pq.write_to_dataset(table, "lake/ad/table", partition_cols=["part"], filesystem=lake)
assert pq.read_table("lake/ad/table", filesystem=lake).num_rows == 1000

with duckdb.connect() as connection:
    connection.register_filesystem(lake)
    count = "select count(*) from read_parquet('abfs://lake/ad/table/**/*.parquet') where part = 1"
    assert connection.execute(count).fetchone() == (333,)
    connection.execute("copy (select 42 as answer) to 'abfs://lake/ad/duck.parquet' (format parquet)")
    written = connection.execute("select answer from 'abfs://lake/ad/duck.parquet'").fetchone()
    assert written == (42,)

lake.rm("lake/ad/x/copy.txt")
lake.rm("lake/ad", recursive=True)
assert lake.ls("lake") == []
