"""What a person can get wrong in the addresses of hubs and storage, and the line that says so."""

import pytest

from shared.service.addresses import explain_unresolved, host_of_hubs, host_of_storage, is_loopback
from shared.service.errors import SettingsError

SECRET = "c2VjcmV0c2VjcmV0"
PORTAL_HUBS = "fleet.servicebus.windows.net"
PORTAL_STORAGE = "acc.blob.core.windows.net"
SIGNED = f"SharedAccessKeyName=n;SharedAccessKey={SECRET}"
NAMED = f"AccountName=acc;AccountKey={SECRET}"


@pytest.mark.parametrize(
    ("address", "host"),
    [
        (PORTAL_HUBS, PORTAL_HUBS),
        ("sb://fleet.servicebus.windows.net/", PORTAL_HUBS),
        ("https://fleet.servicebus.windows.net", PORTAL_HUBS),
        ("127.0.0.1:5671", "127.0.0.1"),
        ("localhost", "localhost"),
        (
            f"Endpoint=sb://fleet.servicebus.windows.net/;{SIGNED};EntityPath=x",
            PORTAL_HUBS,
        ),
        (f"endpoint=sb://emulator:5672;{SIGNED};UseDevelopmentEmulator=true;", "emulator"),
        ("Endpoint=sb://h.example/;SharedAccessSignature=SharedAccessSignature sr=x&sig=y", "h.example"),
    ],
)
def test_hubs_have_a_host(address, host):
    """A connection string as the portal shows it, or the namespace's name."""
    assert host_of_hubs(address, "HUBS") == host


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("https://acc.blob.core.windows.net", PORTAL_STORAGE),
        ("https://127.0.0.1:10000/devstoreaccount1", "127.0.0.1"),
        ("https://acc.blob.core.windows.net/?sv=2022&sig=abc", PORTAL_STORAGE),
        (f"{NAMED};EndpointSuffix=core.chinacloudapi.cn", "acc.blob.core.chinacloudapi.cn"),
        (NAMED, PORTAL_STORAGE),
        (f"{NAMED};BlobEndpoint=http://emulator:10000/acc;", "emulator"),
        (f"BlobEndpoint=https://{PORTAL_STORAGE}/;SharedAccessSignature=sv=1&sig=2", PORTAL_STORAGE),
    ],
)
def test_storage_has_a_host(address, host):
    """A connection string as the portal shows it, or the account's URL."""
    assert host_of_storage(address, "STORAGE") == host


@pytest.mark.parametrize(
    "address",
    [
        *("foo", "a b", "sb://", "http://fleet.example", "sb://h:port/", "é.example", "="),
        *("Endpoint=foo", "Endpoint=sb://x", f"Endpoint=;{SIGNED}", NAMED, f"SharedAccessKey={SECRET}"),
        f"Endpoint=sb://x;SharedAccessKey={SECRET}",
    ],
)
def test_what_is_no_namespace_is_named(address):
    """The line names the variable and what to give, and never a key."""
    with pytest.raises(SettingsError, match=r"^HUBS: ") as refusal:
        host_of_hubs(address, "HUBS")
    assert SECRET not in str(refusal.value)


@pytest.mark.parametrize(
    "address",
    [
        *("foo", "http://", "ftp://x/y", "https://a b/", "=", "x=y", "AccountName=x", f"AccountKey={SECRET}"),
        *("AccountName=x;AccountKey=no base64!", f"AccountName=a b;AccountKey={SECRET}"),
        f"{NAMED};BlobEndpoint=x",
    ],
)
def test_what_is_no_account_is_named(address):
    """The line names the variable and what to give, and never a key."""
    with pytest.raises(SettingsError, match=r"^STORAGE: ") as refusal:
        host_of_storage(address, "STORAGE")
    assert SECRET not in str(refusal.value)


def test_a_name_that_no_machine_has_is_told(monkeypatch):
    """`.invalid` never exists (RFC 6761), loopback always does."""
    assert "there is no host nowhere.invalid" in explain_unresolved("nowhere.invalid", "HUBS")
    assert explain_unresolved("127.0.0.1", "HUBS") is None
    assert explain_unresolved("[::1]", "HUBS") is None


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        *((host, True) for host in ("localhost", "LOCALHOST", "localhost.", "a.localhost", "127.0.0.1")),
        *((host, True) for host in ("127.8.9.10", "::1", "[::1]")),
        *((host, False) for host in ("", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.nip")),
        *((host, False) for host in ("emulator", "xlocalhost", "2130706433", None)),
    ],
)
def test_what_names_this_machine(host, expected):
    """Only names and addresses that no network can give to another machine."""
    assert is_loopback(host) is expected
