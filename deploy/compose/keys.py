#!/usr/bin/env python3
"""`make compose-env`: write new keys for docker-compose.yml to `.env`, and never overwrite it."""

import os
import secrets
import sys
from base64 import b64encode
from pathlib import Path

_LINES = """\
# Written by `make compose-env` for docker-compose.yml; git ignores it. Delete it to get new keys.
COMPOSE_PROFILES=emulator
EVENT_HUBS_KEY={event_hubs_key}
STORAGE_KEY={storage_key}
SCORER_API_KEY={scorer_api_key}
# Only for profile `microsoft`: Y accepts the licence of Microsoft's Event Hubs emulator.
ACCEPT_EULA=N
"""


def generate_env() -> str:
    """Return the text of an `.env` with keys as long as Azure's."""
    return _LINES.format(
        event_hubs_key=b64encode(secrets.token_bytes(32)).decode(),
        storage_key=b64encode(secrets.token_bytes(64)).decode(),
        scorer_api_key=secrets.token_urlsafe(32),
    )


def main(path: Path) -> int:
    """Write the file. Return exit code 2 if it exists, because running containers have its keys."""
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        sys.stderr.write(f"{path} exists already and was not changed: delete it to get new keys\n")
        return 2
    with os.fdopen(file, "w") as written:
        written.write(generate_env())
    sys.stdout.write(f"{path} has new keys, SCORER_API_KEY among them\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
