"""Every listener on loopback refuses the requests that a web page from elsewhere makes a browser send."""

import json
import subprocess
import sys

import aiohttp
import pytest

FOREIGN = [
    {"Origin": "https://elsewhere.example"},
    {"Origin": "null"},
    {"Host": "rebound.example"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "empty"},
]
LOCAL = [
    {},
    {"Host": "localhost"},
    {"Origin": "http://localhost:3000", "Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"},
]
# Harmless requests, by listener: what is not refused as foreign is answered with one of these.
REQUESTS = [
    ("admin", "GET", "/health", {200}),
    ("admin", "PUT", "/hubs/pages", {200, 201}),
    ("admin", "DELETE", "/hubs/nowhere", {404}),
    ("admin", "GET", "/identity/.well-known/openid-configuration", {200}),
    ("admin", "GET", "/identity/token?resource=https://storage.azure.com", {400, 401}),
    ("storage", "GET", "/devstoreaccount1/lake?restype=container&comp=list", {401, 403, 404}),
    ("storage", "PUT", "/devstoreaccount1/lake/a", {401, 403, 404}),
]


@pytest.fixture(scope="module")
def addresses(tmp_path_factory):
    """The listeners of a running emulator, as http://host:port."""
    flags = ("--json", "--port-base", "0", "--data", tmp_path_factory.mktemp("data"))
    command = [sys.executable, "-m", "services.emulator", *map(str, flags)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        ready = json.loads(process.stdout.readline())
        storage = ready["storage"].partition("BlobEndpoint=")[2]
        yield {"admin": ready["admin"], "storage": storage.rpartition("/")[0]}
        process.terminate()


async def ask(addresses, listener, method, path, headers):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, addresses[listener] + path, headers=headers) as answer,
    ):
        return answer.status, await answer.text()


@pytest.mark.parametrize(("listener", "method", "path", "answers"), REQUESTS)
@pytest.mark.parametrize("headers", FOREIGN, ids=str)
async def test_a_page_from_elsewhere_is_refused(addresses, listener, method, path, answers, headers):
    """403 on every route, before anything is done or read."""
    status, text = await ask(addresses, listener, method, path, headers)
    assert status == 403
    assert "pages from elsewhere" in text or "no name of this machine" in text


@pytest.mark.parametrize(("listener", "method", "path", "answers"), REQUESTS)
@pytest.mark.parametrize("headers", LOCAL, ids=str)
async def test_this_machine_is_answered(addresses, listener, method, path, answers, headers):
    """Programs, and browsers that open the address or show a page of this machine."""
    status, text = await ask(addresses, listener, method, path, headers)
    assert status in answers
    assert "from elsewhere" not in text


async def test_nothing_is_done_for_a_page(addresses):
    """A page's request to create a hub leaves no hub."""
    await ask(addresses, "admin", "PUT", "/hubs/planted", {"Origin": "https://elsewhere.example"})
    _, hubs = await ask(addresses, "admin", "GET", "/hubs", {})
    assert "planted" not in [hub["name"] for hub in json.loads(hubs)]
