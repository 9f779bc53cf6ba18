import asyncio

import pytest

from services.cli.chaos.__main__ import serve
from services.cli.chaos.settings import ChaosSettings
from shared.service.errors import NeedsAttention


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"schedules": 2}, "--data is for one run"),
        ({}, "holds another run's data"),
    ],
)
async def test_a_directory_is_for_one_run(tmp_path, overrides, message):
    """Nothing is started if a run would be judged by what another one left."""
    (tmp_path / "simulator").mkdir()
    with pytest.raises(NeedsAttention, match=message):
        await serve(ChaosSettings(data=tmp_path, **overrides), asyncio.Event())
