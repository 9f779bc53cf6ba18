"""The scorer's metrics in Prometheus' format."""

import pytest

import services.scorer.__main__  # noqa: F401 - declares what the stream counts
from tests.support.promtool import assert_promtool_passes


async def test_promtool_finds_no_fault(http, focus):
    """promtool finds no fault with the scorer's metrics, refusals included."""
    assert (await http.post(focus))[0].status == 200
    await http.refused(focus, 415, Content_Type="text/plain")
    page = (await (await http.ask("GET", "/metrics")).text()).encode()
    for name in (b"fleetprice_http_requests_total{", b"fleetprice_scorer_sent_predictions_total"):
        assert name in page
    await assert_promtool_passes(page)


async def test_promtool_finds_what_is_wrong():
    """The check can fail: it reports a counter without its suffix."""
    page = b"# HELP fleetprice_things Things\n# TYPE fleetprice_things counter\nfleetprice_things 1\n"
    with pytest.raises(pytest.fail.Exception, match="_total"):
        await assert_promtool_passes(page)
