"""Finds the hubs to watch: those that the settings name, else those of the running local stack."""

import socket

from pydantic import SecretStr

from services.cli.tail.settings import TailSettings
from shared.service.errors import NeedsAttention, SettingsError
from shared.service.local_stack import find_running_stack

_DEFAULT_PORT = 5672
_CONNECT_WITHIN_S = 1.0


def resolve_connection(settings: TailSettings, default_port: int = _DEFAULT_PORT) -> TailSettings:
    """Return settings with a connection string.

    Without one in the settings, that of the stack running on the data directory is used, else that of an
    emulator on the default port. Raises SettingsError if there is neither.
    """
    if settings.event_hubs.get_secret_value():
        return settings
    try:
        running = find_running_stack(settings.data)
    except NeedsAttention:
        if not _is_listening(default_port):
            raise
        running = None
    if running is not None:
        event_hubs = running.event_hubs
    elif _is_listening(default_port):
        event_hubs = (
            f"Endpoint=sb://127.0.0.1:{default_port};SharedAccessKeyName=RootManageSharedAccessKey;"
            "SharedAccessKey=SAS_KEY_VALUE;UseDevelopmentEmulator=true;"
        )
    else:
        raise SettingsError(
            f"nothing runs on {settings.data} or on port {default_port}: start `fleetprice up`, "
            "name its directory with --data, or set FLEETPRICE_EVENT_HUBS"
        )
    return settings.model_copy(update={"event_hubs": SecretStr(event_hubs)})


def _is_listening(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), _CONNECT_WITHIN_S).close()
    except OSError:
        return False
    return True
