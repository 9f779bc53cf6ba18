"""Runs `verify` as a process.

The process reads predictions while the stack drains, and judges once the stack is at rest.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from shared.service.errors import FleetpriceError
from shared.service.processes.process import Process, Program, last_lines


class Unverified(FleetpriceError):
    """The process of `verify` ended without a verdict."""


class Verifier:
    """A verification that runs in a process of its own."""

    def __init__(self, process: Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, program: Program) -> "Verifier":
        return cls(await Process.start(program, stdin=asyncio.subprocess.PIPE))

    async def verdict(self, limit_s: float | None) -> tuple[int, Mapping[str, Any]] | None:
        """Let the process judge, and return its exit code and counts; None after `limit_s` seconds.

        Raises Unverified if the process ends without a verdict.
        """
        self._process.end_input()
        try:
            async with asyncio.timeout(limit_s):
                line = await self._process.read_line()
                code = await self._process.wait()
        except TimeoutError:
            return None
        if not line:
            log = self._process.program.log
            raise Unverified(" | ".join(last_lines(log, 1)) or f"no verdict: see {log}")
        return code, json.loads(line)

    def kill(self) -> None:
        self._process.kill()
