"""A check of a metrics page by Prometheus's own tool."""

import asyncio
import shutil

import pytest


async def assert_promtool_passes(page):
    """Fail if `promtool check metrics` finds a fault in names, units, help or syntax. Skip if missing."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed (Debian's package prometheus has it)")
    process = await asyncio.create_subprocess_exec(
        promtool,
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(page)
    if process.returncode or output:
        pytest.fail(f"promtool ended with {process.returncode}: {output.decode()}")
