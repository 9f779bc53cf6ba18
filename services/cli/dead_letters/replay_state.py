"""What the replay logs say of letters, lane by lane, each log read once."""

from services.cli.dead_letters.replay_log import ReplayLog
from services.cli.dead_letters.stored_letters import StoredLetter
from shared.contract.dead_letter_id import DeadLetterId
from shared.lake.client import Lake
from shared.lake.slots.slot import ChainKey


class ReplayStates:
    """As of the first question about a lane."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake
        self._by_lane: dict[ChainKey, dict[DeadLetterId, bool]] = {}

    async def is_done(self, found: StoredLetter) -> bool | None:
        """Whether the hub is known to have the letter's replay; None where none was begun."""
        lane = found.place.lane
        if lane not in self._by_lane:
            log = ReplayLog(self._lake, lane)
            await log.read()
            self._by_lane[lane] = await log.states()
        return self._by_lane[lane].get(found.id)
