#!/usr/bin/env python3
"""`make compose-env`: write fresh keys for docker-compose.yml to `.env`, and never over one that is there."""

import os
import secrets
import sys
from base64 import b64encode
from pathlib import Path

_LINES = """\
# Written by `make compose-env` for docker-compose.yml; git ignores it. Delete it for new keys.
COMPOSE_PROFILES=emulator
EVENT_HUBS_KEY={event_hubs_key}
STORAGE_KEY={storage_key}
SCORER_API_KEY={scorer_api_key}
# Profile `microsoft` alone: Y accepts the licence of Microsoft's Event Hubs emulator.
ACCEPT_EULA=N
"""


def lines() -> str:
    """An `.env` with keys of the lengths that Azure's own have."""
    return _LINES.format(
        event_hubs_key=b64encode(secrets.token_bytes(32)).decode(),
        storage_key=b64encode(secrets.token_bytes(64)).decode(),
        scorer_api_key=secrets.token_urlsafe(32),
    )


def main(path: Path) -> int:
    """Exit code 2 where the file is there: containers that run have its keys."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(f"{path} is there already and stays as it is: delete it for new keys\n")
        return 2
    with os.fdopen(file, "w") as written:
        written.write(lines())
    sys.stdout.write(f"{path} has fresh keys, SCORER_API_KEY among them\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
