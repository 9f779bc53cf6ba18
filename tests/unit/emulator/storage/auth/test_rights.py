"""What each kind of shared access signature allows: every operation, signed by the SDK, letter by letter.

The table follows "Create an account SAS" and "Create a service SAS" of Azure's documentation.
"""

import base64
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl

import pytest
from azure.storage.blob import generate_account_sas, generate_blob_sas, generate_container_sas
from azure.storage.filedatalake import generate_directory_sas
from multidict import CIMultiDict

from services.emulator.storage.auth.authorization import Authorization
from services.emulator.storage.model.errors import Refused
from services.emulator.storage.wire.request import StorageRequest
from services.emulator.storage.wire.routing import OPERATIONS, find_operation

ACCOUNT, KEY = "devstoreaccount1", base64.b64encode(b"a key of the tests").decode()
NOW = datetime(2026, 6, 1, tzinfo=UTC)
IN_AN_HOUR = NOW + timedelta(hours=1)
LETTERS = "rwdlacupmeop"
FILE = "d/e/file"
BESIDE = ("e", "d/f", "d/e/file/x", "d/e/fil")
BLOCK, APPEND = {"x-ms-blob-type": "BlockBlob"}, {"x-ms-blob-type": "AppendBlob"}
COPY = {"x-ms-copy-source": f"/lake/{FILE}?own"}
NOBODY = ""

# Operation: method, query, headers, and the letters of which one is enough in a SAS for the account, and in
# one for the container. Both are the same where only one is given.
SERVICE = {
    "list_containers": ("GET", "comp=list", {}, "l", NOBODY),
    "list_file_systems": ("GET", "resource=account", {}, "l", NOBODY),
    "get_account_info": ("GET", "restype=account&comp=properties", {}, "rwlacu", NOBODY),
    "get_service_properties": ("GET", "restype=service&comp=properties", {}, "r", NOBODY),
    "get_user_delegation_key": ("POST", "restype=service&comp=userdelegationkey", {}, NOBODY, NOBODY),
    "submit_batch": ("POST", "comp=batch", {}, "rwdlacmeopt", NOBODY),
}
CONTAINER = {
    "create_container": ("PUT", "restype=container", {}, "cw", NOBODY),
    "delete_container": ("DELETE", "restype=container", {}, "d", NOBODY),
    "get_container_properties": ("GET", "restype=container", {}, "rl", NOBODY),
    "get_file_system_properties": ("HEAD", "resource=filesystem", {}, "rl", NOBODY),
    "get_container_acl": ("GET", "restype=container&comp=acl", {}, NOBODY, NOBODY),
    "set_container_acl": ("PUT", "restype=container&comp=acl", {}, NOBODY, NOBODY),
    "set_container_metadata": ("PUT", "restype=container&comp=metadata", {}, "w", NOBODY),
    "lease_container": ("PUT", "restype=container&comp=lease", {"x-ms-lease-action": "break"}, "w", NOBODY),
    "list_blobs": ("GET", "restype=container&comp=list", {}, "l", "l"),
    "list_paths": ("GET", "resource=filesystem&recursive=false", {}, "l", "l"),
    "get_access_control": ("HEAD", "action=getAccessControl", {}, "re", "re"),
    "set_access_control": ("PATCH", "action=setAccessControl", {}, "p", "p"),
    "set_access_control_recursive": ("PATCH", "action=setAccessControlRecursive", {}, "p", "p"),
    "submit_batch": ("POST", "restype=container&comp=batch", {}, "rwdlacmeopt", "rwdlacmeopt"),
    "get_account_info": ("GET", "restype=account&comp=properties", {}, "rwlacu", "rwlacu"),
}
OBJECT = {
    "create_file": ("PUT", "resource=file", {}, "cw"),
    "create_directory": ("PUT", "resource=directory", {}, "cw"),
    "append": ("PATCH", "action=append", {}, "aw"),
    "flush": ("PATCH", "action=flush", {}, "w"),
    "set_properties": ("PATCH", "action=setProperties", {}, "w"),
    "set_access_control": ("PATCH", "action=setAccessControl", {}, "p"),
    "set_access_control_recursive": ("PATCH", "action=setAccessControlRecursive", {}, "p"),
    "get_access_control": ("HEAD", "action=getAccessControl", {}, "re"),
    "get_status": ("HEAD", "action=getStatus", {}, "re"),
    "delete_path": ("DELETE", "recursive=true", {}, "d"),
    "delete_blob": ("DELETE", "", {}, "d"),
    "put_blob": ("PUT", "", BLOCK, "cw"),
    "create_append_blob": ("PUT", "", APPEND, "cw"),
    "append_block": ("PUT", "comp=appendblock", {}, "aw"),
    "abort_copy": ("PUT", "comp=copy", {}, "w"),
    "lease_path": ("PUT", "comp=lease", {"x-ms-lease-action": "acquire"}, "w"),
    "set_tags": ("PUT", "comp=tags", {}, "tw"),
    "get_tags": ("GET", "comp=tags", {}, "tr"),
    "set_tier": ("PUT", "comp=tier", {}, "w"),
    "set_expiry": ("PUT", "comp=expiry", {}, "w"),
    "set_metadata": ("PUT", "comp=metadata", {}, "w"),
    "set_http_headers": ("PUT", "comp=properties", {}, "w"),
    "put_block": ("PUT", "comp=block", {}, "cw"),
    "put_block_list": ("PUT", "comp=blocklist", {}, "cw"),
    "get_block_list": ("GET", "comp=blocklist", {}, "r"),
    "get_blob": ("GET", "", {}, "r"),
    "get_blob_properties": ("HEAD", "", {}, "r"),
    "get_account_info": ("GET", "restype=account&comp=properties", {}, "rwlacu"),
}
# Operations that also need rights on a source; the source is tested below.
WITH_SOURCE = {"rename", "put_blob_from_url", "copy_blob"}


def request(method, query, headers, token, container="lake", path=""):
    """A request with this SAS in its query, as the server parses it."""
    raw_path = "/".join(filter(None, (f"/{ACCOUNT}", container, path)))
    return StorageRequest(
        method=method,
        raw_path=raw_path,
        account=ACCOUNT,
        container=container,
        path=path,
        query=dict(parse_qsl(query)) | dict(parse_qsl(token)),
        headers=CIMultiDict(headers),
        body=None,
        remote="127.0.0.1",
        max_body_bytes=1,
        now_us=0,
        is_secure=False,
    )


def is_allowed(made):
    """Whether the request is authorized; the operation is found as the server finds it."""
    try:
        Authorization(ACCOUNT, KEY).check(made, find_operation(made), NOW.timestamp())
    except Refused as refused:
        return refused.status != 403
    return True


def account_sas(letters, kinds="sco"):
    return generate_account_sas(ACCOUNT, KEY, kinds, letters, IN_AN_HOUR)


def container_sas(letters, container="lake"):
    return generate_container_sas(ACCOUNT, container, KEY, permission=letters, expiry=IN_AN_HOUR)


def directory_sas(letters, directory):
    return generate_directory_sas(ACCOUNT, "lake", directory, KEY, permission=letters, expiry=IN_AN_HOUR)


def file_sas(letters, path):
    return generate_blob_sas(ACCOUNT, "lake", path, account_key=KEY, permission=letters, expiry=IN_AN_HOUR)


def letters_allowed(sign, *about, **place):
    """The letters each of which alone allows the request."""
    return {letter for letter in LETTERS + "t" if is_allowed(request(*about, sign(letter), **place))}


def test_every_operation_is_in_the_table():
    """An operation that is added needs a row here."""
    tables = {"s": SERVICE, "c": CONTAINER, "o": [*OBJECT, *WITH_SOURCE]}
    rows = {(level, name) for level, table in tables.items() for name in table}
    assert {(operation.level, operation.name) for operation in OPERATIONS.values()} == rows


@pytest.mark.parametrize("name", SERVICE)
def test_operations_of_the_service(name):
    """They need a SAS for the account, of the resource type "service"."""
    *about, account, _ = SERVICE[name]
    assert letters_allowed(account_sas, *about, container="") == set(account)
    assert not letters_allowed(lambda one: account_sas(one, "co"), *about, container="")
    assert not letters_allowed(container_sas, *about, container="")


@pytest.mark.parametrize("name", CONTAINER)
def test_operations_of_a_container(name):
    """A SAS for a container lists it; it does not delete it, lease it, or change what it is."""
    *about, account, container = CONTAINER[name]
    assert letters_allowed(account_sas, *about) == set(account)
    assert not letters_allowed(lambda one: account_sas(one, "so"), *about)
    assert letters_allowed(container_sas, *about) == set(container)
    assert not letters_allowed(lambda one: container_sas(one, "other"), *about)
    assert not letters_allowed(lambda one: directory_sas(one, "d"), *about)
    assert not letters_allowed(lambda one: file_sas(one, FILE), *about)


@pytest.mark.parametrize("name", OBJECT)
def test_operations_of_a_path(name):
    """A SAS covers its container, its directory with all that is in it, or its file."""
    *about, letters = OBJECT[name]
    for sign in (
        account_sas,
        container_sas,
        *(lambda one, place=place: directory_sas(one, place) for place in ("d", "d/e", FILE)),
        lambda one: file_sas(one, FILE),
    ):
        assert letters_allowed(sign, *about, path=FILE) == set(letters)
    for sign in (
        lambda one: account_sas(one, "sc"),
        lambda one: container_sas(one, "other"),
        *(
            lambda one, place=place: directory_sas(one, place)
            for place in ("e", "d/f", "d/e/file/x", "d/e/fil")
        ),
        *(lambda one, place=place: file_sas(one, place) for place in ("d", "d/e", "d/e/file2")),
    ):
        assert not letters_allowed(sign, *about, path=FILE)


@pytest.mark.parametrize(
    ("table", "name"),
    [*(("container", name) for name in CONTAINER), *(("path", name) for name in OBJECT)],
)
def test_a_parameter_that_is_not_signed_widens_nothing(table, name):
    """`directory` names what is listed; with any other operation it says nothing."""
    is_path = table == "path"
    method, query, headers, *_ = (OBJECT if is_path else CONTAINER)[name]
    about = (method, f"{query}&directory=d%2Fe".strip("&"), headers)
    allowed = letters_allowed(lambda one: directory_sas(one, "d"), *about, path="x/y" if is_path else "")
    assert allowed == ({"l"} if name == "list_paths" else set())


@pytest.mark.parametrize(
    ("listed", "is_inside"),
    [("d", True), ("d/e", True), ("/d/e/", True), ("", False), ("dd", False), ("x/d", False)],
)
def test_a_directory_is_listed_with_its_own_sas(listed, is_inside):
    """The listing's directory must be in the one that was signed."""
    about = ("GET", f"resource=filesystem&recursive=true&directory={listed}", {})
    assert is_allowed(request(*about, directory_sas("l", "d"))) == is_inside


def test_a_sas_of_a_file_is_none_of_a_directory():
    """Before 2018-11-09 the kind of resource was not signed, so it cannot be changed in such a SAS."""
    old = dict(parse_qsl(file_sas("r", "d")))
    old |= {"sv": "2018-03-28", "sr": "b"}
    lines = ["r", "", old["se"], f"/blob/{ACCOUNT}/lake/d", "", "", "", old["sv"], *[""] * 5]
    old["sig"] = Authorization(ACCOUNT, KEY).sign("\n".join(lines))
    token = "&".join(f"{name}={value.replace('+', '%2B')}" for name, value in old.items())
    assert is_allowed(request("GET", "", {}, token, path="d"))
    widened = token.replace("sr=b", "sr=d&sdd=1")
    assert not is_allowed(request("GET", "", {}, widened, path="d"))
    assert not is_allowed(request("GET", "", {}, widened, path="d/e"))


@pytest.mark.parametrize(
    ("letters", "is_enough"), [("m", True), ("wd", True), ("w", False), ("d", False), ("rcal", False)]
)
def test_a_rename_needs_the_right_to_move_its_source(letters, is_enough):
    """The source disappears, so writing alone does not allow it."""
    header = {"x-ms-rename-source": f"/lake/{FILE}?{file_sas(letters, FILE)}"}
    assert is_allowed(request("PUT", "", header, file_sas("m", "new"), path="new")) == is_enough


@pytest.mark.parametrize("headers", [{}, BLOCK], ids=["copy", "from URL"])
@pytest.mark.parametrize(
    ("letters", "path", "is_enough"), [("r", FILE, True), ("w", FILE, False), ("r", "x", False)]
)
def test_a_copy_reads_its_source(headers, letters, path, is_enough):
    """The source is read with the SAS in its own URL, the target written with the request's."""
    header = {**headers, "x-ms-copy-source": f"/lake/{FILE}?{file_sas(letters, path)}"}
    assert is_allowed(request("PUT", "", header, file_sas("c", "new"), path="new")) == is_enough
    assert not is_allowed(request("PUT", "", header, file_sas("r", "new"), path="new"))
