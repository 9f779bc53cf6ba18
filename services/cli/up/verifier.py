"""The oracle's process: it reads along from its start, and judges once everything stands still."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from shared.service.errors import FleetpriceError
from shared.service.processes.process import Process, Program, last_lines


class Unverified(FleetpriceError):
    """The oracle ended without a verdict."""


class Verifier:
    """One verification; `kill` ends it whatever comes."""

    def __init__(self, program: Program, process: Process) -> None:
        self._program = program
        self._process = process

    @classmethod
    async def start(cls, program: Program) -> "Verifier":
        return cls(program, await Process.start(program))

    async def verdict(self, limit_s: float | None) -> tuple[int, Mapping[str, Any]] | None:
        """Its exit code and what it found, of all that was sent until now; None where the time is up.

        Raises Unverified where it gives no verdict.
        """
        self._process.end_input()
        try:
            async with asyncio.timeout(limit_s):
                line = await self._process.first_line()
                code = await self._process.ended()
        except TimeoutError:
            return None
        if not line:
            log = self._program.log
            raise Unverified(" | ".join(last_lines(log, 1)) or f"no verdict: see {log}")
        return code, json.loads(line)

    def kill(self) -> None:
        self._process.kill()
