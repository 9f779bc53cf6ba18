"""Prometheus's own judge of a metrics page."""

import asyncio
import shutil

import pytest


async def assert_promtool_passes(page):
    """`promtool check metrics` finds no fault in names, units, help, syntax. Skips where it is missing."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    checking = await asyncio.create_subprocess_exec(
        promtool,
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await checking.communicate(page)
    if checking.returncode or output:
        pytest.fail(f"promtool ended with {checking.returncode}: {output.decode()}")
