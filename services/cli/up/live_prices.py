"""Predictions as a live reader receives them: their latencies, and the newest predictions."""

import asyncio
from collections import deque
from datetime import UTC, datetime

from services.cli.up.latencies import Latencies
from shared.contract.prediction import Prediction
from shared.predictions.reader import PredictionReader, ResumeToken
from shared.service.errors import Refused, SourceUnavailable
from shared.service.logs import log
from shared.streams.event_hubs.connection import HubConnection

NEWEST = 8
_RETRY_S = 1.0


class LivePrices:
    """A reader of the predictions that arrive in the hub from the start of `follow` on."""

    def __init__(self, connection: HubConnection, hub: str) -> None:
        self._connection = connection
        self._hub = hub
        self.latencies = Latencies()
        self.newest: deque[Prediction] = deque(maxlen=NEWEST)

    async def follow(self) -> None:
        """Read predictions for ever. If the hub cannot be read, retry from the position reached."""
        token: ResumeToken | None = None
        while True:
            reader = PredictionReader(self._connection, self._hub, start="@latest", token=token)
            try:
                async for received in reader:
                    self._add(received.prediction)
            except (Refused, SourceUnavailable) as error:
                log.warning("predictions_unreadable", reason=str(error))
                token = reader.token
                await asyncio.sleep(_RETRY_S)

    def _add(self, prediction: Prediction) -> None:
        late = datetime.now(UTC) - prediction.reading_at
        self.latencies.add(late.total_seconds() * 1000)
        self.newest.append(prediction)
