"""The check that a link leads to the hub on which its partition was opened."""

import asyncio
from collections import Counter
from datetime import UTC, datetime

import pytest

from shared.service.errors import HubRecreated
from shared.streams.event_hubs.hub import Hub, HubIdentityCheck

OURS, OTHER = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


class Client:
    """A client of a hub that answers when it is let, with the hub's properties at that time."""

    eventhub_name = "telemetry"

    def __init__(self):
        self.links_opened = Counter({"0": 1})
        self.created_at = OURS
        self.requests = 0
        self.failures = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def get_eventhub_properties(self):
        self.requests += 1
        if self.failures:
            raise self.failures.pop()
        await self.may_answer.wait()
        return {"created_at": self.created_at, "partition_ids": ["0"]}


@pytest.fixture
async def client():
    return Client()


@pytest.fixture
async def check(client):
    identity = HubIdentityCheck(Hub(client, "ingest"), 0, OURS, "start again")
    yield identity
    identity.close()


async def test_a_link_that_was_open_for_a_while_costs_its_first_events_no_request(client, check):
    """The request made at the opening of a link verifies the link, however many pieces follow."""
    check.request_early()
    await check.verify_link()
    await check.verify_link()
    assert client.requests == 1


async def test_an_early_request_finds_a_recreated_hub(client, check):
    """If the new link leads to another hub of the same name, no event of it is handled."""
    client.created_at = OTHER
    check.request_early()
    with pytest.raises(HubRecreated):
        await check.verify_link()


async def test_the_answer_for_an_earlier_link_does_not_verify_a_later_one(client, check):
    """A link opened after the request is verified by a request of its own."""
    check.request_early()
    client.links_opened["0"] += 1
    client.created_at = OTHER
    client.may_answer.clear()
    verifying = asyncio.create_task(check.verify_link())
    client.may_answer.set()
    with pytest.raises(HubRecreated):
        await verifying


async def test_an_early_request_that_failed_is_repeated(client, check):
    """A hub that did not answer while the partition was idle is asked again at the first events."""
    client.failures = [TimeoutError()]
    check.request_early()
    await check.verify_link()
    assert client.requests == 2
