"""`fleetprice dead-letters replay`: what is meant is refused or sent, lane by lane, in sequence."""

import sys
from dataclasses import dataclass, replace

import msgspec
from msgspec import Struct

from services.cli.dead_letters.repairs import Mending, read_mended
from services.cli.dead_letters.replay import BATCH_BYTES, BATCH_LETTERS, LaneReplay
from services.cli.dead_letters.replay_log import Replacement
from services.cli.dead_letters.replay_state import ReplayStates
from services.cli.dead_letters.selection import Named, Selection, names_of
from services.cli.dead_letters.settings import DeadLettersSettings
from services.cli.dead_letters.stored_letters import StoredLetter, dead_letters
from shared.lake.client import Lake
from shared.lake.slots.slot import ChainKey
from shared.service.errors import NeedsAttention
from shared.service.run import EXIT_DONE, EXIT_FOUND_WRONG
from shared.streams.event_hubs.connection import HubConnection


@dataclass(slots=True)
class _Gathered:
    """Replacements of one lane that go out together: what bounds memory."""

    lane: ChainKey
    replacements: list[Replacement]
    size_bytes: int = 0

    def takes(self, lane: ChainKey, replacement: Replacement) -> bool:
        return (
            lane == self.lane
            and len(self.replacements) < BATCH_LETTERS
            and self.size_bytes + len(replacement.body) <= BATCH_BYTES
        )


class Outcome(Struct):
    """What became of the letters that were meant; `dry_run`: what would."""

    dry_run: bool
    replayed: int = 0
    replayed_before: int = 0
    refused: int = 0
    unknown: int = 0

    def sentence(self) -> str:
        said = f"{self.replayed:,} {'would be replayed' if self.dry_run else 'replayed'}"
        if self.replayed_before:
            said += f", {self.replayed_before:,} had been before"
        return f"{said}, {self.refused:,} refused" if self.refused else said


class ReplayCommand:
    """One run of it."""

    def __init__(self, settings: DeadLettersSettings, lake: Lake) -> None:
        """Raises NeedsAttention where it is not clear what is meant."""
        mended = read_mended(settings.letters, settings.stream) if settings.letters is not None else {}
        selection = Selection.of(settings)
        named = {Named(one.lane, one.sequence_number, one.line) for one in mended}
        self._selection = replace(selection, named=selection.named | named)
        _check(settings, self._selection)
        self._settings = settings
        self._lake = lake
        self._mending = Mending(settings, mended)
        self._states = ReplayStates(lake)
        self._lanes: dict[ChainKey, LaneReplay] = {}
        self._unseen = set(self._selection.named)
        self._outcome = Outcome(settings.dry_run)

    async def run(self) -> int:
        """The exit code: 1 where a letter was refused or there is none of that id."""
        if self._settings.body is not None:
            await self._check_is_one()
        gathered = _Gathered(ChainKey(self._selection.stream, 0), [])
        async for found in dead_letters(self._lake, self._selection):
            self._unseen.difference_update(names_of(found.place))
            replacement = self._accepted(found)
            if replacement is None:
                continue
            if self._settings.dry_run:
                await self._count_only(found)
                continue
            if not gathered.takes(found.place.lane, replacement):
                await self._send(gathered)
                gathered = _Gathered(found.place.lane, [])
            gathered.replacements.append(replacement)
            gathered.size_bytes += len(replacement.body)
        await self._send(gathered)
        self._say_outcome()
        return EXIT_FOUND_WRONG if self._outcome.refused or self._outcome.unknown else EXIT_DONE

    async def _check_is_one(self) -> None:
        count = len([found async for found in dead_letters(self._lake, self._selection)])
        if count != 1:
            raise NeedsAttention(f"--body is for one dead letter, {self._settings.ids} names {count}")

    def _accepted(self, found: StoredLetter) -> Replacement | None:
        replacement = self._mending.replacement(found)
        refusal = self._mending.refusal(replacement)
        if refusal is None:
            return replacement
        self._outcome.refused += 1
        self._complain(str(found.place), refusal)
        return None

    async def _count_only(self, found: StoredLetter) -> None:
        if await self._states.is_done(found) is None:
            self._outcome.replayed += 1
        else:
            self._outcome.replayed_before += 1

    async def _send(self, gathered: _Gathered) -> None:
        if not gathered.replacements:
            return
        lane = gathered.lane
        if lane not in self._lanes:
            hub, lease_s = self._settings.hub(), self._settings.lease_s
            connection = HubConnection.from_settings(self._settings)
            self._lanes[lane] = LaneReplay(connection, self._lake, lane, hub, lease_s)
        sent = await self._lanes[lane].replay(gathered.replacements)
        self._outcome.replayed += sent
        self._outcome.replayed_before += len(gathered.replacements) - sent

    def _say_outcome(self) -> None:
        for named in self._unseen:
            self._outcome.unknown += 1
            self._complain(str(named), f"there is no such dead letter in {self._selection.stream}")
        as_json = msgspec.json.encode(self._outcome).decode()
        sys.stdout.write(f"{as_json if self._settings.as_json else self._outcome.sentence()}\n")

    @staticmethod
    def _complain(what: str, reason: str) -> None:
        sys.stderr.write(f"fleetprice: {what}: {reason}\n")


def _check(settings: DeadLettersSettings, selection: Selection) -> None:
    if settings.body is not None and (len(selection.named) != 1 or settings.letters is not None):
        raise NeedsAttention("--body is for one dead letter: give its PARTITION:SEQUENCE:LINE with it")
    if settings.everything == selection.is_narrowed:
        raise NeedsAttention(
            "say which dead letters: ids, --from FILE, --partition, --reason or --since; or --all, alone"
        )
