"""Requests that nobody thought of, made by Schemathesis from the OpenAPI document."""

import asyncio
import shutil
import sys
from pathlib import Path

import pytest

CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def schemathesis():
    """Beside this Python or on the path; None where it is not installed."""
    own = Path(sys.executable).with_name("schemathesis")
    return str(own) if own.exists() else shutil.which("schemathesis")


@pytest.mark.timeout(600)
async def test_no_request_breaks_what_the_document_promises(serving, automobile, tmp_path):
    """Whatever is sent, no answer is a server error or one that the OpenAPI document does not know."""
    command = schemathesis()
    if command is None:
        pytest.skip("schemathesis is not installed (pip install schemathesis)")
    async with serving(automobile=automobile) as http:
        run = await asyncio.create_subprocess_exec(
            command,
            "run",
            f"http://127.0.0.1:{http.port}/openapi.json",
            "--header=Authorization: Bearer fleetprice-dev-key",
            f"--checks={','.join(CHECKS)}",
            "--phases=examples,coverage,fuzzing",
            "--max-examples=10",
            "--seed=1",
            "--no-color",
            cwd=tmp_path,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await run.communicate()
    assert run.returncode == 0, output.decode()[-8_000:]
