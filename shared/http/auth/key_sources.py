"""Where the accepted API keys come from: a setting, a file of hashed ones, or the well-known one."""

from pathlib import Path

from services.scorer.settings import DEVELOPMENT_API_KEY, ScorerSettings
from shared.http.auth.api_keys import digest_of, hashed_keys
from shared.service.errors import SettingsError

_LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")
_SETTING, _FILE = "FLEETPRICE_SCORER_API_KEYS", "FLEETPRICE_SCORER_API_KEYS_FILE"


def accepted_keys(settings: ScorerSettings) -> dict[bytes, str]:
    """Digest → caller. Raises SettingsError for none, or for the development key beyond loopback."""
    digests = _given_keys(settings)
    if settings.api_keys_file is not None:
        digests |= hashed_keys(_lines(settings.api_keys_file), str(settings.api_keys_file))
    if not digests:
        raise SettingsError(f"{_SETTING} and {_FILE} name no key")
    if digest_of(DEVELOPMENT_API_KEY) in digests and settings.host not in _LOOPBACK_HOSTS:
        raise SettingsError(
            f"{_SETTING} holds the well-known development key while HTTP listens on "
            f"{settings.host}: give keys of your own"
        )
    return digests


def _given_keys(settings: ScorerSettings) -> dict[bytes, str]:
    if settings.api_keys is None:
        is_alone = settings.api_keys_file is None
        return {digest_of(DEVELOPMENT_API_KEY): "development"} if is_alone else {}
    digests: dict[bytes, str] = {}
    given = [key for part in settings.api_keys.get_secret_value().split(",") if (key := part.strip())]
    for number, key in enumerate(given, start=1):
        if ":sha256:" in key:
            digests |= hashed_keys([key], _SETTING)
        else:
            digests[digest_of(key)] = f"key-{number}"
    return digests


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{_FILE}: {path} cannot be read: {error}") from error
