"""The forms in which settings name Event Hubs and storage, and whether their host names mean a machine."""

import base64
import binascii
import re
import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from shared.service.errors import SettingsError

_HUBS = 'a connection string ("Endpoint=sb://HOST/;SharedAccessKeyName=…") or NAME.servicebus.windows.net'
_STORAGE = (
    'a connection string ("DefaultEndpointsProtocol=https;AccountName=…") or '
    "https://NAME.blob.core.windows.net"
)
_HOST = re.compile(r"(?!-)[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|\[?[0-9a-f:.]+\]?", re.IGNORECASE)


def host_of_hubs(address: str, variable: str) -> str:
    """Return the host of an Event Hubs namespace.

    Raises SettingsError if `address` is neither a connection string nor a name. The message names `variable`
    and shows no key.
    """
    if "=" not in address:
        url = address if "://" in address else f"sb://{address}"
        host = _host_of_url(url, ("sb", "amqps", "https"))
        # A word alone is a mistake; with a port it may be a machine of this network.
        if host is None or not ("." in host or ":" in url.partition("://")[2] or host == "localhost"):
            raise SettingsError(f"{variable}: {address!r} is no Event Hubs namespace: give {_HUBS}")
        return host
    parts = _parse(address)
    host = _host_of_url(parts.get("endpoint", ""), ("sb", "amqps", "amqp", "https"))
    if host is None:
        raise SettingsError(f"{variable}: the connection string has no Endpoint=sb://HOST/: give {_HUBS}")
    if not ({"sharedaccesskeyname", "sharedaccesskey"} <= parts.keys() or "sharedaccesssignature" in parts):
        raise SettingsError(
            f"{variable}: the connection string of {host} has no SharedAccessKeyName and SharedAccessKey, "
            "and no SharedAccessSignature"
        )
    return host


def host_of_storage(address: str, variable: str) -> str:
    """Return the host of a storage account.

    Raises SettingsError if `address` is neither a connection string nor a URL. The message names `variable`
    and shows no key.
    """
    if "=" not in address or address.startswith(("http://", "https://")):
        host = _host_of_url(address, ("http", "https"))
        if host is None:
            raise SettingsError(f"{variable}: {address!r} is no storage account: give {_STORAGE}")
        return host
    parts = _parse(address)
    if "sharedaccesssignature" not in parts:
        if not {"accountname", "accountkey"} <= parts.keys():
            raise SettingsError(
                f"{variable}: the connection string has no AccountName and AccountKey, and no "
                f"SharedAccessSignature: give {_STORAGE}"
            )
        if not _is_base64(parts["accountkey"]):
            raise SettingsError(f"{variable}: the AccountKey is not base64: was a part of it lost?")
    endpoint = parts.get("blobendpoint")
    if endpoint is None:
        suffix = parts.get("endpointsuffix", "core.windows.net")
        endpoint = f"https://{parts.get('accountname', '')}.blob.{suffix}"
    host = _host_of_url(endpoint, ("http", "https"))
    if host is None:
        raise SettingsError(f"{variable}: the connection string names no host: give {_STORAGE}")
    return host


def is_loopback(host: str | None) -> bool:
    """Return whether a host name or address always means this machine: `localhost`, 127.0.0.0/8 or ::1."""
    if host is None:
        return False
    name = host.lower().removesuffix(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    try:
        return ip_address(name.strip("[]")).is_loopback
    except ValueError:
        return False


def explain_unresolved(host: str, variable: str) -> str | None:
    """Return a sentence if no machine has the name `host`, else None. It asks DNS, which may take seconds."""
    try:
        socket.getaddrinfo(host.strip("[]"), None)
    except socket.gaierror as error:
        if error.errno == socket.EAI_NONAME:
            return f"{variable}: there is no host {host}: is the name right, and does DNS answer here?"
    except (OSError, UnicodeError):
        pass  # whoever connects to it reports it
    return None


def _parse(connection_string: str) -> dict[str, str]:
    parts = (part.partition("=") for part in connection_string.split(";") if part.strip())
    return {name.strip().lower(): value for name, _, value in parts}


def _host_of_url(url: str, schemes: tuple[str, ...]) -> str | None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return None
    return host if parts.scheme in schemes and host and _HOST.fullmatch(host) else None


def _is_base64(text: str) -> bool:
    try:
        return bool(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        return False
