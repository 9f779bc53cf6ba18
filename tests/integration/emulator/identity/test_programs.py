import asyncio
import os
import sys
from pathlib import Path

import pytest

from services.emulator.identity.issuer import SYSTEM_ASSIGNED, Assignment
from shared.service.errors import SettingsError
from shared.streams.event_hubs.clients import consumer_client
from shared.streams.event_hubs.connection import HubConnection
from tests.support.embedded_stack import PATIENCE_S

HERE = Path(__file__).parent
ROOT = HERE.parents[3]


async def output_of(program, environment, *arguments):
    """Run the program to its successful end and return its output."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("FLEETPRICE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / program),
        *arguments,
        env={**inherited, **environment, "PYTHONPATH": str(ROOT)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(PATIENCE_S):
            output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, errors.decode()
    return output.decode()


async def test_a_program_runs_unchanged(azure):
    """A program for Azure runs here with a different environment only."""
    environment = {
        **azure.environment,
        "ACCOUNT_URL": azure.account_url,
        "REQUESTS_CA_BUNDLE": azure.ca,
    }
    assert await output_of("unchanged_program.py", environment) == "written"


async def test_our_services_sign_in_as_they_do_in_azure(azure):
    """With a namespace and an account URL and no key, our services send, read, land and checkpoint."""
    environment = {
        **azure.environment,
        "SSL_CERT_FILE": azure.ca,
        "FLEETPRICE_EVENT_HUBS": f"127.0.0.1:{azure.tls_port}",
        "FLEETPRICE_STORAGE": azure.account_url,
    }
    assert await output_of("own_services.py", environment) == "sent with a token"


async def test_a_token_that_runs_out_costs_a_quiet_service_nothing(azure):
    """Sender and reader go on with fresh tokens after a night without traffic; the SDK alone gives up."""
    azure.issuer.assign(SYSTEM_ASSIGNED, Assignment(expires_in_s=3))
    environment = {
        **azure.environment,
        "SSL_CERT_FILE": azure.ca,
        "FLEETPRICE_EVENT_HUBS": f"127.0.0.1:{azure.tls_port}",
    }
    output = await output_of("quiet_services.py", environment, "4")
    assert output.split() == ["before", "after", "Expired"]


@pytest.mark.parametrize("namespace", ["127.0.0.1:port", "sb://", "127.0.0.1:99999"])
def test_a_namespace_that_is_none_is_named(namespace):
    """A malformed namespace in the settings is an error at the start."""
    with pytest.raises(SettingsError, match="is no Event Hubs namespace"):
        consumer_client(HubConnection(namespace), "telemetry", "ingest")
