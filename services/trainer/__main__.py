"""`python -m services.trainer`: train a version from FLEETPRICE_TRAINER_DATA into FLEETPRICE_TRAINER_OUT."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from services.trainer.settings import TrainerSettings
from services.trainer.training import train
from shared.service.logs import log
from shared.service.run import run_service


async def run(settings: TrainerSettings, _stop: asyncio.Event) -> None:
    """Train one version. A stop is ignored: training takes seconds, and a kill leaves nothing behind."""
    manifest = await asyncio.to_thread(train, settings)
    log.info(
        "model_version_written",
        folder=str(settings.out),
        r2=round(manifest.metrics.r2, 4),
        mae=round(manifest.metrics.mae),
        coverage=round(manifest.metrics.coverage, 4),
    )
    if settings.as_json:
        written = {"folder": str(settings.out), "version": manifest.version, "metrics": manifest.metrics}
        sys.stdout.write(msgspec.json.encode(written).decode() + "\n")


def main(overrides: Mapping[str, Any] | None = None) -> int:
    """Train one version; return the exit code."""
    return run_service(TrainerSettings, overrides, run)


if __name__ == "__main__":
    sys.exit(main())
