import os
import subprocess
import sys
from pathlib import Path

from azure.storage.blob import BlobServiceClient

SCRIPT = Path(__file__).parents[3] / "deploy" / "compose" / "create_container.py"


def test_made_once(azure_storage):
    """Compose's job makes the container of checkpoints where there is none, and leaves an old one alone."""
    variables = {**os.environ, "FLEETPRICE_CHECKPOINTS": azure_storage.connection_string}
    command = [sys.executable, str(SCRIPT), "elsewhere"]
    first, second = (
        subprocess.run(command, env=variables, capture_output=True, text=True, check=True) for _ in range(2)
    )
    assert (first.stdout, second.stdout) == ("", "elsewhere is there already\n")
    with BlobServiceClient.from_connection_string(azure_storage.connection_string) as account:
        assert account.get_container_client("elsewhere").exists()
