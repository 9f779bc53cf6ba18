"""The accepted API keys, read from a setting and from a file of hashed keys.

If neither is given, the well-known development key is accepted.
"""

from pathlib import Path

from shared.http.auth.api_keys import digest_key, parse_hashed_keys
from shared.http.settings import HttpSettings
from shared.service.addresses import is_loopback
from shared.service.errors import SettingsError


def read_keys(settings: HttpSettings) -> dict[bytes, str]:
    """Return the accepted keys as a mapping from digest to caller name.

    Raises SettingsError if there is no key, if a key cannot be read or parsed, or if the development key
    would be accepted while HTTP listens beyond loopback.
    """
    keys = settings.keys
    setting, file_setting = settings.variable("API_KEYS"), settings.variable("API_KEYS_FILE")
    development = digest_key(keys.development)
    digests = {development: "development"} if keys.given is None and keys.file is None else {}
    if keys.given is not None:
        digests |= _parse_given(keys.given, setting)
    if keys.file is not None:
        digests |= parse_hashed_keys(_read_lines(keys.file, file_setting), str(keys.file))
    if not digests:
        raise SettingsError(f"{setting} and {file_setting} name no key")
    if development in digests and not is_loopback(settings.host):
        raise SettingsError(
            f"{setting} holds the well-known development key while HTTP listens on "
            f"{settings.host}: give keys of your own"
        )
    return digests


def _parse_given(given: str, setting: str) -> dict[bytes, str]:
    digests: dict[bytes, str] = {}
    keys = [key for part in given.split(",") if (key := part.strip())]
    for number, key in enumerate(keys, start=1):
        if ":sha256:" in key:
            digests |= parse_hashed_keys([key], setting)
        else:
            digests[digest_key(key)] = f"key-{number}"
    return digests


def _read_lines(path: Path, setting: str) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{setting}: {path} cannot be read: {error}") from error
