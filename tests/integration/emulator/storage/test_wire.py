import asyncio
import base64
from email.utils import formatdate

import pytest

from services.emulator.storage.server import StorageServer

PUT_BLOB = {"x-ms-blob-type": "BlockBlob"}


@pytest.mark.parametrize(
    "path",
    [
        "/lake/../../etc/passwd",
        "/lake/a/../../b",
        "/lake/%2e%2e/%2e%2e/b",
        "/lake/a%2f..%2f..%2fb",
        "/lake/./b",
        "/lake//b",
        "/lake/a%00b",
        "/lake/a%0ab",
        "/lake/a%ff",
        "/../b",
        "/.meta/journal",
        "/.staging/parts/1",
        "/lake/" + "x" * 256,
        "/lake/" + "x/" * 600,
        "/LAKE/b",
        "/-lake/b",
    ],
)
async def test_no_path_leads_out_of_the_tree(raw, path, tmp_path):
    """Path traversal is refused in every encoding, and creates nothing."""
    before = sorted(file.name for file in tmp_path.rglob("*") if file.is_file())
    status, response = await raw.send("PUT", path, PUT_BLOB, b"owned")
    assert status == 400, response
    status, _ = await raw.send("GET", path)
    assert status == 400
    assert sorted(file.name for file in tmp_path.rglob("*") if file.is_file()) == before


@pytest.mark.parametrize(
    ("method", "target", "headers"),
    [
        ("PATCH", "/lake/f?action=append&position=minus", {}),
        ("PATCH", "/lake/f?action=append&position=-1", {}),
        ("PATCH", "/lake/f?action=append", {}),
        ("PATCH", "/lake/f?action=flush&position=99999999999999999999", {}),
        ("PATCH", "/lake/f?action=flush&position=0&retainUncommittedData=maybe", {}),
        ("PUT", "/lake/f?resource=file", {"x-ms-properties": "name=not base64!"}),
        ("PUT", "/lake/f?resource=file", {"x-ms-properties": "bad name=YQ=="}),
        ("PUT", "/lake/f?resource=file", {"x-ms-properties": "a=" + base64.b64encode(b"x\r\ny").decode()}),
        ("PUT", "/lake/f?resource=file", {"x-ms-properties": "caf\xe9"}),
        ("PUT", "/lake/f?resource=file", {"x-ms-content-type": "caf\xe9"}),
        ("PUT", "/lake/f?resource=file", {"If-Modified-Since": "yesterday"}),
        ("PUT", "/lake/f", PUT_BLOB | {"x-ms-meta-a": "caf\xe9"}),
        ("PUT", "/lake/f", PUT_BLOB | {"x-ms-meta-a": "x" * 9000}),
        ("PUT", "/lake/f", PUT_BLOB | {"x-ms-structured-body": "XSM/1.0; properties=crc64"}),
        ("PUT", "/lake/f", PUT_BLOB | {"If-Unmodified-Since": "99999"}),
        ("PUT", "/lake/f", {}),
        ("PUT", "/lake/f", PUT_BLOB | {"Content-Type": "caf\xe9"}),
        ("PUT", "/lake/f?comp=block&blockid=!!", {}),
        ("PUT", "/lake/f?comp=block", {}),
        ("PUT", "/lake/f?comp=blocklist", {}),
        ("PUT", "/lake/g", {"x-ms-copy-source": "http://[broken"}),
        ("PUT", "/lake/g?mode=legacy", {"x-ms-rename-source": "/lake/%ff"}),
        ("PUT", "/lake/g?mode=legacy", {"x-ms-rename-source": "nowhere"}),
        ("PUT", "/lake/f?comp=lease", {"x-ms-lease-action": "acquire", "x-ms-lease-duration": "5"}),
        ("PUT", "/lake/f?comp=lease", {"x-ms-lease-action": "acquire", "x-ms-proposed-lease-id": "me"}),
        ("PUT", "/lake/f?comp=lease", {"x-ms-lease-action": "dance"}),
        ("GET", "/lake/f", {"Range": "bytes=9-1,3-4"}),
        ("GET", "/lake/f", {"x-ms-range": "lines=1-2"}),
        ("GET", "/lake?restype=container&comp=list&maxresults=0", {}),
        ("GET", "/lake?restype=container&comp=list&maxresults=many", {}),
        ("GET", "/lake?restype=container&comp=list&marker=~~", {}),
        ("GET", "/lake?restype=container&comp=list&prefix=%00", {}),
        ("GET", "/lake?restype=container&comp=list&delimiter=x", {}),
        ("GET", "/lake?resource=filesystem&recursive=perhaps", {}),
        ("GET", "/lake?resource=filesystem&recursive=true&continuation=%21", {}),
    ],
)
async def test_what_makes_no_sense_is_the_clients_fault(raw, method, target, headers):
    """A malformed request gets 400 and a code, and the server continues."""
    assert (await raw.send("PUT", "/lake/f?resource=file"))[0] == 201
    status, response = await raw.send(method, target, headers)
    assert status == 400, response
    assert b"x-ms-error-code" in response
    assert (await raw.send("HEAD", "/lake/f"))[0] == 200


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("POST", "/lake/f", 405),
        ("PUT", "/lake/f?comp=page", 501),
        ("PUT", "/lake/f?comp=undelete", 501),
        ("PUT", "/lake/f?comp=snapshot", 501),
        ("POST", "/lake/f?comp=query", 501),
        ("GET", "/lake?restype=container&comp=blobs&where=a", 501),
        ("PUT", "/?restype=service&comp=properties", 405),
        ("DELETE", "/lake/f?comp=metadata", 405),
        ("GET", "/lake?comp=list&restype=share", 501),
        ("PUT", "/lake/none?comp=metadata", 404),
        ("GET", "/nothing/f", 404),
        ("GET", "/lake/f?snapshot=2024-01-01T00:00:00.0000000Z", 501),
        ("GET", "/lake?restype=container&comp=list&showonly=deleted", 501),
        ("PATCH", "/lake/f?action=dance", 501),
    ],
)
async def test_what_is_not_served_says_so(raw, method, target, status):
    """An operation that is not implemented is refused by name, with no effect."""
    assert (await raw.send(method, target))[0] == status


async def test_a_list_of_blocks_cannot_declare_entities(raw):
    """A block list with entity declarations is refused (billion laughs)."""
    bomb = (
        b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaa">]><BlockList><Latest>&a;</Latest></BlockList>'
    )
    status, response = await raw.send("PUT", "/lake/f?comp=blocklist", body=bomb)
    assert (status, b"InvalidXmlDocument" in response) == (400, True)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("x-ms-meta-a", ("1", "2")),
        ("x-ms-date", (formatdate(usegmt=True),) * 2),
        ("X-MS-Blob-Type", ("BlockBlob", "AppendBlob")),
        ("Content-MD5", ("a", "b")),
        ("If-Match", ('"1"', "*")),
        ("Range", ("bytes=0-1", "bytes=2-3")),
    ],
)
async def test_a_signed_header_is_given_once(raw, name, values):
    """A signature covers one of two values, so both are refused, in a batch's parts too."""
    doubled = [f"{name}: {value}\r\n" for value in values]
    head = raw.head("PUT", "/lake/twice", PUT_BLOB, 0)
    start, _, rest = head.partition(b"\r\n")
    reader, writer = await asyncio.open_connection("127.0.0.1", raw.port)
    writer.write(start + b"\r\n" + "".join(doubled).encode() + rest)
    answer = await reader.read()
    assert b" 400 " in answer.split(b"\r\n")[0]
    assert b"is given twice" in answer
    writer.close()
    await writer.wait_closed()
    part = "DELETE /devstoreaccount1/lake/twice HTTP/1.1\n" + "".join(doubled).replace("\r\n", "\n")
    body = f"--b\nContent-Type: application/http\n\n{part}\n--b--".encode()
    headers = {"Content-Type": "multipart/mixed; boundary=b"}
    status, answer = await raw.send("POST", "/?comp=batch", headers, body)
    assert status == 202
    assert b"HTTP/1.1 400 " in answer


@pytest.mark.parametrize("place", ["linked", "folder/linked", "folder/linked/deep"])
async def test_links_in_the_data_folder_are_not_followed(raw, lake, write, tree, tmp_path, place):
    """A person's link in the tree leads no client out of it: not to read, write, append, copy or rename."""
    outside = tmp_path / "outside"
    (outside / "deep").mkdir(parents=True)
    for name in ("secret", "deep/secret"):
        (outside / name).write_text("secret")
    path = f"{place}/secret"
    await write(path, b"ours")
    await write("other", b"ours")
    link = tree / "lake" / place.removesuffix("/deep")
    link.rename(tmp_path / "moved")
    link.symlink_to(outside)
    requests = [
        ("GET", f"/lake/{path}", {}),
        ("PUT", f"/lake/{path}", PUT_BLOB),
        ("PUT", f"/lake/{place}/new", PUT_BLOB),
        ("PUT", f"/lake/{place}/new?resource=directory", {}),
        ("PATCH", f"/lake/{path}?action=append&position=4", {}),
        ("DELETE", f"/lake/{path}", {}),
        ("DELETE", f"/lake/{place}?recursive=true", {}),
        ("PUT", "/lake/copy", {"x-ms-copy-source": f"http://127.0.0.1/devstoreaccount1/lake/{path}"}),
        ("PUT", "/lake/renamed?resource=file", {"x-ms-rename-source": f"/lake/{path}"}),
        ("PUT", f"/lake/{place}/moved?resource=file", {"x-ms-rename-source": "/lake/other"}),
    ]
    for method, target, headers in requests:
        status, answer = await raw.send(method, target, headers)
        body = answer.partition(b"\r\n\r\n")[2]
        assert status == 404
        assert b"secret" not in body.replace(path.encode(), b"")
    assert sorted(one.relative_to(outside).as_posix() for one in outside.rglob("*") if one.is_file()) == [
        "deep/secret",
        "secret",
    ]
    assert {one.read_text() for one in outside.rglob("secret")} == {"secret"}


async def test_chunked_bodies_need_a_length(raw):
    """A body without Content-Length is refused, as in the service."""
    headers = PUT_BLOB | {"Transfer-Encoding": "chunked", "Content-Length": ""}
    del headers["Content-Length"]
    reader, writer = await asyncio.open_connection("127.0.0.1", raw.port)
    writer.write(
        b"PUT /devstoreaccount1/lake/f HTTP/1.1\r\nHost: localhost\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    )
    assert b" 401 " in await reader.readline()
    writer.close()
    await writer.wait_closed()


async def test_a_body_beyond_the_limit_is_refused_unread(tmp_path, raw_to):
    """A body above the limit is refused before it is read."""
    async with StorageServer(tmp_path, max_body_bytes=1_000_000) as storage:
        raw = raw_to(storage.port)
        assert (await raw.send("PUT", "/lake/f", PUT_BLOB, b"x" * 1_000_000))[0] == 201
        status, response = await raw.send("PUT", "/lake/g", PUT_BLOB, b"", length=10**15)
        assert (status, b"RequestBodyTooLarge" in response) == (413, True)


async def test_a_connection_lost_in_the_middle_of_a_body_leaves_nothing(raw, tmp_path):
    """An interrupted upload leaves no file and no staged bytes."""
    for length in (1_000, 3_000_000):
        await raw.send("PUT", "/lake/half", PUT_BLOB, b"x" * (length // 2), length=length, hang_up=True)
    assert (await raw.send("HEAD", "/lake/half"))[0] == 404
    while list((tmp_path / "storage/.staging/parts").iterdir()):  # until the server notices
        await raw.send("HEAD", "/lake/half")


async def test_errors_speak_the_clients_language(raw):
    """Errors of Data Lake are JSON, of Blob XML; both carry the code in a header."""
    _, dfs = await raw.send("PATCH", "/lake/none?action=flush&position=0")
    assert b"x-ms-error-code: PathNotFound" in dfs
    assert b'{"error":{"code":"PathNotFound"' in dfs
    _, blob = await raw.send("GET", "/lake/none")
    assert b"x-ms-error-code: BlobNotFound" in blob
    assert b"<Error><Code>BlobNotFound</Code>" in blob


async def test_every_write_says_it_is_encrypted(raw):
    """Every write returns the header without which the Arrow C++ client aborts its process."""
    writes = [
        ("PUT", "/lake/f?resource=file", {}, b""),
        ("PUT", "/lake/d?resource=directory", {}, b""),
        ("PATCH", "/lake/f?action=append&position=0", {}, b"abc"),
        ("PATCH", "/lake/f?action=flush&position=3", {}, b""),
        ("PUT", "/lake/d/f?mode=legacy", {"x-ms-rename-source": "/lake/f"}, b""),
        ("PUT", "/lake/b", PUT_BLOB, b"abc"),
        ("PUT", "/lake/b?comp=metadata", {}, b""),
        ("PUT", "/lake/b?comp=block&blockid=YQ%3D%3D", {}, b"abc"),
        ("PUT", "/lake/b?comp=blocklist", {}, b"<BlockList><Latest>YQ==</Latest></BlockList>"),
    ]
    for method, target, headers, body in writes:
        status, response = await raw.send(method, target, headers, body)
        assert status in {200, 201, 202}, response
        assert b"x-ms-request-server-encrypted: true" in response, target


async def test_a_client_that_asks_before_it_sends(storage, raw_to):
    """`Expect: 100-continue` gets 100 before the body, and nothing if there is no body."""
    raw = raw_to(storage.port)
    _, response = await raw.send("PUT", "/lake/f", PUT_BLOB | {"Expect": "100-continue"}, b"abc")
    assert response.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 ")
    _, response = await raw.send("PUT", "/lake/g", PUT_BLOB | {"Expect": "100-continue"}, b"")
    assert response.startswith(b"HTTP/1.1 201 ")


async def test_content_checked_by_crc64(raw):
    """A body that does not match its CRC-64 is refused."""
    checked = PUT_BLOB | {"x-ms-content-crc64": "iJh5CoYUi64="}
    status, response = await raw.send("PUT", "/lake/f", checked, b"123456789")
    assert (status, b"x-ms-content-crc64: iJh5CoYUi64=" in response) == (201, True)
    status, response = await raw.send("PUT", "/lake/f", checked, b"12345678X")
    assert (status, b"Crc64Mismatch" in response) == (400, True)
    assert (await raw.send("GET", "/lake/f"))[1].endswith(b"123456789")


@pytest.mark.parametrize("header", ["x-ms-encryption-key", "x-ms-if-tags", "x-ms-encryption-scope"])
async def test_what_would_be_left_unread_is_refused(raw, header):
    """Parameters and headers that are not supported are refused, not ignored."""
    status, response = await raw.send("PUT", "/lake/f", PUT_BLOB | {header: "x"}, b"abc")
    assert (status, b"UnsupportedHeader" in response, header.encode() in response) == (400, True, True)
