import json
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from services.compaction.__main__ import run_pass
from services.compaction.settings import CompactionSettings
from shared.contract.columns import PREDICTION, READING
from shared.contract.json_schema import contract_from_schema
from shared.lake.parquet import encode
from tests.support.compacting import NOON, Chain, Compacted
from tests.support.lake_files import FOOTER, VISITS, make_rows, summarize

OWN = contract_from_schema("visits", json.dumps(VISITS).encode())


@pytest.fixture
async def files(storage, lake, tmp_path):
    """The summary of each file of a lake: raw files of two versions, compacted ones, every type of column."""
    chain = await Chain(lake).begin()
    for version in (1, 2):
        await chain.land(10, NOON + 1, version=version)
    await run_pass(CompactionSettings(storage=storage.connection_string, as_json=True, older_than_s=0), lake)
    for contract in (READING, PREDICTION, OWN):
        table = make_rows(contract.raw_schema)
        footer = replace(FOOTER, rows=table.num_rows, last_seq=FOOTER.first_seq + table.num_rows - 1)
        (tmp_path / f"{contract.name}.parquet").write_bytes(encode(table, footer))
    landed = Compacted(tmp_path).root.rglob("*/date=*/hour=*/*.parquet")
    paths = sorted(map(str, [*tmp_path.glob("*.parquet"), *landed]))
    assert len(paths) == 7
    return {path: summarize(pq.ParquetFile(path).read()) for path in paths}
