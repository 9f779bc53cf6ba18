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


async def test_what_never_happened_has_no_series(serving, focus):
    """A route's seconds appear with its first answer of a class; its failures are counted from the start.

    An alert on failures must see the first one, and a series that begins at 1 has no increase.
    """
    async with serving() as http:
        before = await scrape(http)
        await http.post(focus)
        after = await scrape(http)
    mine = 'fleetprice_http_requests_total{route="/v1/prices",status="500"} 0.0'
    assert mine in before
    assert len([line for line in after if line.endswith(" 0.0")]) < 100
    route = 'fleetprice_http_request_seconds_count{route="/v1/prices",status_class="%s"}'
    assert any(line.startswith(route % "2xx") for line in after)


async def scrape(http):
    return (await (await http.ask("GET", "/metrics")).text()).splitlines()


async def test_promtool_finds_what_is_wrong():
    """The check can fail: it reports a counter without its suffix."""
    page = b"# HELP fleetprice_things Things\n# TYPE fleetprice_things counter\nfleetprice_things 1\n"
    with pytest.raises(pytest.fail.Exception, match="_total"):
        await assert_promtool_passes(page)
