"""The simulator's metrics, as Prometheus reads them."""

from prometheus_client import generate_latest

from services.simulator.publisher import READINGS_SENT
from tests.support.promtool import assert_promtool_passes


async def test_promtool_finds_no_fault():
    """Prometheus's own check accepts the simulator's metrics."""
    page = generate_latest()
    assert READINGS_SENT.describe()[0].name.encode() in page
    await assert_promtool_passes(page)
