import asyncio
import string
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.emulator.storage.auth.well_known import WELL_KNOWN_ACCOUNT

NASTY = [
    "..",
    ".",
    "",
    "\x00",
    "%2F",
    "%2e%2e",
    "\\",
    "\x7f",
    "\u202e",
    "\ufffe",
    "e\u0301",
    "A",
    "a" * 255,
    "a" * 256,
]
OURS = [".meta", ".staging", "journal", "$root", "a"]
SEGMENTS = st.one_of(st.sampled_from(NASTY + OURS), st.text(max_size=12))
PATHS = st.lists(SEGMENTS, min_size=1, max_size=6).map("/".join)
ENCODED = PATHS.map(lambda path: quote(path.encode("utf-8", "surrogatepass"), safe="/%"))
QUERIES = st.dictionaries(
    st.sampled_from(
        ["comp", "restype", "resource", "action", "position", "recursive", "prefix", "startFrom"]
    ),
    st.one_of(
        st.sampled_from(
            ["list", "container", "append", "flush", "file", "directory", "tags", "batch", "acl"]
        ),
        st.text(string.ascii_letters + string.digits + "/:=-.~", max_size=6),
    ),
    max_size=4,
).map(lambda query: "&".join(f"{name}={quote(value)}" for name, value in query.items()))
HEADERS = st.dictionaries(
    st.sampled_from(
        [
            "x-ms-blob-type",
            "x-ms-copy-source",
            "x-ms-rename-source",
            "x-ms-acl",
            "x-ms-tags",
            "Range",
            "If-Match",
        ]
    ),
    st.one_of(
        st.sampled_from(["BlockBlob", "AppendBlob", "/lake/a", "bytes=0-", "*", "user::rwx"]),
        st.text(string.ascii_letters + string.digits + "/:=&%-.,*", max_size=12),
    ),
    max_size=3,
)
METHODS = st.sampled_from(["GET", "HEAD", "PUT", "PATCH", "DELETE", "POST"])


async def test_no_request_is_the_servers_fault(raw, tree):
    """Any request gets one of the service's responses and changes nothing outside the tree."""
    loop = asyncio.get_running_loop()

    @settings(max_examples=200, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
    @given(METHODS, ENCODED, QUERIES, HEADERS, st.sampled_from([b"", b"abc"]))
    def ask(method, path, query, headers, body):
        sent = body if method in {"PUT", "PATCH", "POST"} else b""
        asked = asyncio.run_coroutine_threadsafe(
            raw.send(method, f"/lake/{path}?{query}", headers, sent), loop
        )
        status, response = asked.result(30)
        assert 200 <= status < 500 or status == 501, response
        assert {found.name for found in tree.iterdir()} <= {"lake", "checkpoints"}
        assert {found.name for found in tree.parent.iterdir()} == {WELL_KNOWN_ACCOUNT, ".meta", ".staging"}

    await asyncio.to_thread(ask)


@pytest.mark.parametrize(
    "path", ["/lake/" + "a/" * 10_000 + "b", "/lake/" + "%61" * 5_000, "/" + "x" * 100_000]
)
async def test_endless_paths_are_refused(raw, path):
    """Paths and headers are limited in length."""
    status, _ = await raw.send("GET", path)
    assert status == 400
    status, _ = await raw.send("GET", "/lake/a", {f"x-junk-{index}": "x" * 8_000 for index in range(100)})
    assert status in {400, 404, 431}
    assert (await raw.send("HEAD", "/lake?restype=container"))[0] == 200


async def test_names_that_differ_in_case_or_form_are_different_names(lake, write):
    """Names are neither case-folded nor normalised, as in the service."""
    names = {"readme", "README", "caf\u00e9", "cafe\u0301", ".meta", ".staging", "journal"}
    for name in names:
        await write(name, name.encode())
    assert {path.name async for path in lake.get_paths()} == names
    for name in names:
        assert await (await lake.get_file_client(name).download_file()).readall() == name.encode()


async def test_a_slow_body_delays_no_other_client(storage, raw):
    """A client that sends its body slowly does not delay others, and is served in the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", storage.port)
    writer.write(raw.head("PUT", "/lake/slow", {"x-ms-blob-type": "BlockBlob"}, 1_000_000) + b"x" * 300_000)
    await writer.drain()
    for index in range(50):
        assert (await raw.send("PUT", f"/lake/{index}", {"x-ms-blob-type": "BlockBlob"}, b"abc"))[0] == 201
    writer.write(b"x" * 700_000)
    assert b" 201 " in await reader.readline()
    writer.close()
    await writer.wait_closed()
    assert (await raw.send("HEAD", "/lake/slow"))[0] == 200


async def test_malformed_batches(raw):
    """A batch that is malformed, too long, or nests other operations changes nothing."""
    part = b"--b\r\nContent-Type: application/http\r\n\r\nDELETE /devstoreaccount1/lake/a HTTP/1.1\r\n\r\n"
    hidden = part.replace(b"DELETE", b"GET")
    target, kind = "/lake?restype=container&comp=batch", {"Content-Type": "multipart/mixed; boundary=b"}
    assert (await raw.send("PUT", "/lake/a?resource=file"))[0] == 201
    for body, status in (
        (b"", 400),
        (part, 400),
        (b"--b\r\nnonsense\r\n--b--", 400),
        (b"\xff--b--", 400),
        (part * 257 + b"--b--", 400),
        (hidden + b"--b--", 202),
        (part + b"--b--", 202),
    ):
        found, response = await raw.send("POST", target, kind, body)
        assert found == status, response
        assert status == 400 or b"HTTP/1.1 40" in response
    assert (await raw.send("POST", target, {"Content-Type": "text/plain"}, part))[0] == 400
    assert (await raw.send("HEAD", "/lake/a"))[0] == 200
