"""Ingest on a separate embedded Azure, as both memory benchmarks start it."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.cli.bench.embedded_azure import EmbeddedAzure, start_embedded_azure
from services.cli.bench.measured_process import MeasuredProcess

MAX_RESIDENT_BYTES = 2**30
MB = 2**20


@asynccontextmanager
async def start_azure(name: str, partitions: int) -> AsyncIterator[EmbeddedAzure]:
    """Start the emulator in a temporary folder, with a hub and a file system that are both called `name`."""
    with tempfile.TemporaryDirectory(prefix=f"fleetprice-{name}-") as folder:
        async with (
            start_embedded_azure(Path(folder)) as azure,
            azure.hub(name, partitions),
            azure.file_system(name),
        ):
            yield azure


def ingest_process(
    azure: EmbeddedAzure, name: str, roll_max_age_s: float, **variables: str
) -> MeasuredProcess:
    """Return the ingest process that lands hub `name` in file system `name`.

    `variables` are environment variables that override the settings of the process.
    """
    settings = azure.variables(
        FILE_SYSTEM=name,
        TELEMETRY_HUB=name,
        BALANCING_INTERVAL_S=1,
        INGEST_STREAMS="telemetry",
        INGEST_ROLL_MAX_AGE_S=roll_max_age_s,
    )
    return MeasuredProcess("services.ingest", [], {**settings, **variables}, azure.folder / "ingest.log")
