"""`fleetprice dead-letters replay`: refuse or send the selected letters, chain by chain, in sequence."""

import sys
from dataclasses import dataclass, replace

import msgspec
from msgspec import Struct

from services.cli.dead_letters.repairs import Repairer, read_repairs
from services.cli.dead_letters.replay import BATCH_BYTES, BATCH_LETTERS, ChainReplay
from services.cli.dead_letters.replay_log import Replacement, ReplayStates
from services.cli.dead_letters.selection import LetterRef, Selection, refs_to
from services.cli.dead_letters.settings import DeadLettersSettings
from services.cli.dead_letters.stored_letters import StoredLetter, find_dead_letters, refuse_unreadable
from shared.lake.client import Lake
from shared.lake.slots.slot import ChainKey
from shared.service.errors import NeedsAttention
from shared.service.run import EXIT_DONE, EXIT_FOUND_WRONG
from shared.streams.event_hubs.connection import HubConnection


@dataclass(slots=True)
class _Batch:
    """Replacements of one chain that are sent together; the limits of a batch bound the memory needed."""

    chain: ChainKey
    replacements: list[Replacement]
    size_bytes: int = 0

    def has_room_for(self, chain: ChainKey, replacement: Replacement) -> bool:
        return (
            chain == self.chain
            and len(self.replacements) < BATCH_LETTERS
            and self.size_bytes + replacement.size_bytes <= BATCH_BYTES
        )


class ReplayReport(Struct):
    """The counts of a replay. If `dry_run` is set, `replayed` counts the letters that would be replayed."""

    dry_run: bool
    replayed: int = 0
    replayed_before: int = 0
    refused: int = 0
    unknown: int = 0

    def sentence(self) -> str:
        words = f"{self.replayed:,} {'would be replayed' if self.dry_run else 'replayed'}"
        if self.replayed_before:
            words += f", {self.replayed_before:,} had been before"
        return f"{words}, {self.refused:,} refused" if self.refused else words


class ReplayCommand:
    """One run of `fleetprice dead-letters replay`."""

    def __init__(self, settings: DeadLettersSettings, lake: Lake) -> None:
        """Read the settings and the repairs.

        Raises NeedsAttention if a filter or the repairs file is invalid, or if the settings do not say
        clearly which letters to replay.
        """
        repairs = read_repairs(settings.letters, settings.stream) if settings.letters is not None else {}
        selection = Selection.from_settings(settings)
        named = {LetterRef(one.chain, one.sequence_number, one.line) for one in repairs}
        self._selection = replace(selection, named=selection.named | named)
        _check_selection(settings, self._selection)
        self._settings = settings
        self._lake = lake
        self._repairer = Repairer(settings, repairs)
        self._states = ReplayStates(lake)
        self._chains: dict[ChainKey, ChainReplay] = {}
        self._unseen = set(self._selection.named)
        self._report = ReplayReport(settings.dry_run)

    async def run(self) -> int:
        """Replay the selected letters and return the exit code.

        The exit code is 1 if a letter was refused or an id names no letter. Raises NeedsAttention if one body
        is given for a selection that is not exactly one letter, or, after all else is done, if a file of
        dead letters cannot be read.
        """
        if self._settings.body is not None:
            await self._check_is_one()
        batch, unreadable = _Batch(ChainKey(self._selection.stream, 0), []), list[str]()
        async for found in find_dead_letters(self._lake, self._selection, unreadable):
            self._unseen.difference_update(refs_to(found.place))
            replacement = self._accept(found)
            if replacement is None:
                continue
            if self._settings.dry_run:
                await self._count_only(found)
                continue
            if not batch.has_room_for(found.place.chain, replacement):
                await self._send(batch)
                batch = _Batch(found.place.chain, [])
            batch.replacements.append(replacement)
            batch.size_bytes += replacement.size_bytes
        await self._send(batch)
        self._write_report()
        refuse_unreadable(unreadable)
        return EXIT_FOUND_WRONG if self._report.refused or self._report.unknown else EXIT_DONE

    async def _check_is_one(self) -> None:
        unreadable: list[str] = []
        count = len([found async for found in find_dead_letters(self._lake, self._selection, unreadable)])
        refuse_unreadable(unreadable)
        if count != 1:
            raise NeedsAttention(f"--body is for one dead letter, {self._settings.ids} names {count}")

    def _accept(self, found: StoredLetter) -> Replacement | None:
        replacement = self._repairer.make_replacement(found)
        refusal = self._repairer.find_refusal(replacement)
        if refusal is None:
            return replacement
        self._report.refused += 1
        self._complain(str(found.place), refusal)
        return None

    async def _count_only(self, found: StoredLetter) -> None:
        if await self._states.is_done(found.place.chain, found.id) is None:
            self._report.replayed += 1
        else:
            self._report.replayed_before += 1

    async def _send(self, batch: _Batch) -> None:
        if not batch.replacements:
            return
        chain = batch.chain
        if chain not in self._chains:
            hub, lease_s = self._settings.hub(), self._settings.lease_s
            connection = HubConnection.from_settings(self._settings)
            self._chains[chain] = ChainReplay(connection, self._lake, chain, hub, lease_s)
        sent = await self._chains[chain].replay(batch.replacements)
        self._report.replayed += sent
        self._report.replayed_before += len(batch.replacements) - sent

    def _write_report(self) -> None:
        for named in self._unseen:
            self._report.unknown += 1
            self._complain(str(named), f"there is no such dead letter in {self._selection.stream}")
        as_json = msgspec.json.encode(self._report).decode()
        sys.stdout.write(f"{as_json if self._settings.as_json else self._report.sentence()}\n")

    @staticmethod
    def _complain(what: str, reason: str) -> None:
        sys.stderr.write(f"fleetprice: {what}: {reason}\n")


def _check_selection(settings: DeadLettersSettings, selection: Selection) -> None:
    if settings.body is not None and (len(selection.named) != 1 or settings.letters is not None):
        raise NeedsAttention("--body is for one dead letter: give its PARTITION:SEQUENCE:LINE with it")
    if settings.everything == selection.is_narrowed:
        raise NeedsAttention(
            "say which dead letters: ids, --from FILE, --partition, --reason or --since; or --all, alone"
        )
