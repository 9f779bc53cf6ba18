"""Typical uses of the Rust readers, polars, deltalake and obstore: `python delta_tour.py PORT KEY`."""

import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import obstore
import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake
from obstore.exceptions import AlreadyExistsError, NotModifiedError, PreconditionError
from obstore.store import AzureStore

port, key = sys.argv[1:]
endpoint = f"http://127.0.0.1:{port}/devstoreaccount1"
options = {"account_name": "devstoreaccount1", "account_key": key, "endpoint": endpoint, "allow_http": "true"}
table = pa.table({"id": list(range(1000)), "part": [index % 3 for index in range(1000)]})


def refused(kind, call, *args, **kwargs):
    """The call raises this."""
    try:
        call(*args, **kwargs)
    except kind:
        return
    raise AssertionError(f"{call.__name__} should raise {kind.__name__}")


# polars: one file, a folder by key, and every scheme
pl.LazyFrame({"a": range(10_000)}).sink_parquet("az://lake/polars/one.parquet", storage_options=options)
lazy = pl.scan_parquet("az://lake/polars/*.parquet", storage_options=options)
assert lazy.select(pl.col("a").sum()).collect().item() == sum(range(10_000))
by_key = pl.PartitionBy("az://lake/by_key/", key="p")
pl.LazyFrame({"a": [1, 2, 3], "p": ["x", "y", "y"]}).sink_parquet(by_key, storage_options=options)
assert pl.scan_parquet("az://lake/by_key/", storage_options=options).filter(p="y").collect().height == 2
pl.DataFrame({"a": [1]}).write_csv(
    "abfss://lake@devstoreaccount1.dfs.core.windows.net/polars/one.csv", storage_options=options
)
assert pl.scan_csv("az://lake/polars/one.csv", storage_options=options).collect().height == 1

# deltalake: every kind of write, by both names a table has
for uri in ("az://lake/delta/one", "abfss://lake@devstoreaccount1.dfs.core.windows.net/delta/two"):
    write_deltalake(uri, table, storage_options=options, partition_by=["part"])
    write_deltalake(uri, table, storage_options=options, mode="append")
    delta = DeltaTable(uri, storage_options=options)
    merged = delta.merge(
        pa.table({"id": [1, 5000], "part": [1, 2]}), "t.id = s.id", source_alias="s", target_alias="t"
    )
    merged.when_matched_update_all().when_not_matched_insert_all().execute()
    assert delta.to_pyarrow_table().num_rows == 2001
    delta.delete("id < 10")
    delta.optimize.compact()
    delta.create_checkpoint()
    delta.vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False)
    assert delta.to_pyarrow_table().num_rows == 1981
    write_deltalake(uri, table, storage_options=options, mode="overwrite")
    assert pl.scan_delta(uri, storage_options=options).collect().height == 1000
    pl.DataFrame({"id": [7], "part": [2]}).write_delta(uri, mode="append", storage_options=options)
    assert DeltaTable(uri, storage_options=options).to_pyarrow_table().num_rows == 1001


def append(writer):
    """Commit four times, racing with the other writers."""
    for turn in range(4):
        row = pa.table({"id": [writer], "part": [turn]})
        write_deltalake("az://lake/delta/race", row, mode="append", storage_options=options)


write_deltalake("az://lake/delta/race", table, storage_options=options)
with ThreadPoolExecutor(4) as writers:
    list(writers.map(append, range(4)))
race = DeltaTable("az://lake/delta/race", storage_options=options)
assert (race.version(), race.to_pyarrow_table().num_rows) == (16, 1016)

# obstore: what object_store sends, named one by one
store = AzureStore(
    "lake",
    account_name="devstoreaccount1",
    account_key=key,
    endpoint=endpoint,
    client_options={"allow_http": True},
)
obstore.put(
    store, "ob/a", b"0123456789", attributes={"Content-Type": "text/plain", "k": "v"}, tags={"t": "1"}
)
assert obstore.get(store, "ob/a").attributes == {"Content-Type": "text/plain", "k": "v"}
assert [bytes(found) for found in obstore.get_ranges(store, "ob/a", starts=[0, 4], ends=[2, 6])] == [
    b"01",
    b"45",
]
assert bytes(obstore.get(store, "ob/a", options={"range": {"offset": 7}}).bytes()) == b"789"
obstore.put(store, "ob/big", b"x" * 6_000_000, use_multipart=True, chunk_size=5 * 1024 * 1024)
assert obstore.head(store, "ob/big")["size"] == 6_000_000
with obstore.open_writer(store, "ob/written") as writer:
    writer.write(b"abc")
obstore.copy(store, "ob/a", "ob/b")
obstore.rename(store, "ob/b", "ob/c")
refused(AlreadyExistsError, obstore.copy, store, "ob/a", "ob/c", overwrite=False)
refused(AlreadyExistsError, obstore.rename, store, "ob/a", "ob/c", overwrite=False)
refused(AlreadyExistsError, obstore.put, store, "ob/a", b"new", mode="create")
etag = obstore.head(store, "ob/a")["e_tag"]
newer = obstore.put(store, "ob/a", b"new", mode={"e_tag": etag})["e_tag"]
refused(PreconditionError, obstore.put, store, "ob/a", b"late", mode={"e_tag": etag})
refused(NotModifiedError, obstore.get, store, "ob/a", options={"if_none_match": newer})
listed = [found["path"] for found in chain.from_iterable(obstore.list(store, "ob", offset="ob/a"))]
assert listed == ["ob/big", "ob/c", "ob/written"]
top = obstore.list_with_delimiter(store)
assert "ob" in top["common_prefixes"]
obstore.delete(store, ["ob/a", *listed])
assert list(chain.from_iterable(obstore.list(store, "ob"))) == []
