"""The options of the lake's account for delta-rs."""

import pytest

from services.compaction.storage_options import storage_options
from shared.service.errors import SettingsError


def account_options(storage, token=None):
    options = storage_options(storage, token)
    return {name: options[name] for name in options if name not in _RETRIES}


_RETRIES = ("max_retries", "retry_timeout", "timeout", "connect_timeout")


def test_a_local_connection_string():
    """The emulator's endpoint is http, so the options allow http."""
    storage = (
        "DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey=k==;"
        "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;"
    )
    assert account_options(storage) == {
        "account_name": "devstoreaccount1",
        "account_key": "k==",
        "endpoint": "http://127.0.0.1:10000/devstoreaccount1",
        "allow_http": "true",
    }


def test_an_azure_connection_string():
    """Without an endpoint in the connection string the options have none: Azure's own is the default."""
    storage = "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=k==;EndpointSuffix=core.windows.net"
    assert account_options(storage) == {"account_name": "a", "account_key": "k=="}


def test_a_shared_access_signature():
    """A connection string may have a signature instead of a key."""
    storage = (
        "AccountName=a;BlobEndpoint=https://a.blob.core.windows.net/;SharedAccessSignature=?sv=1&sig=x=="
    )
    assert account_options(storage) == {
        "account_name": "a",
        "sas_token": "sv=1&sig=x==",
        "endpoint": "https://a.blob.core.windows.net",
        "allow_http": "false",
    }


def test_an_account_url():
    """An account URL is combined with the token of DefaultAzureCredential."""
    assert account_options("https://a.blob.core.windows.net", "t") == {
        "account_name": "a",
        "bearer_token": "t",
    }


def test_a_connection_string_without_a_key_is_refused():
    """A connection string that cannot sign in is refused before any request."""
    with pytest.raises(SettingsError, match="neither AccountKey"):
        storage_options("AccountName=a", None)
