"""The import rules of the project, read from its source."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SERVICES = sorted(path.name for path in (ROOT / "services").iterdir() if (path / "__init__.py").exists())
# Decisions are functions of values: these see no network, no disk, no clock.
PURE = [
    "shared/contract/signals.py",
    "shared/contract/reading.py",
    "shared/contract/prediction.py",
    "shared/contract/columns.py",
    "shared/contract/bounds.py",
    "shared/contract/bodies.py",
    "shared/contract/buffer.py",
    "shared/hubs/contiguity.py",
    "shared/hubs/partition_key.py",
    "shared/hubs/watermark.py",
    "shared/errors.py",
]
INPUT_AND_OUTPUT = {
    "asyncio",
    "os",
    "socket",
    "time",
    "aiohttp",
    "azure",
    "pathlib",
    "subprocess",
    "random",
    "uvloop",
}


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def sources_of(folder):
    return sorted((ROOT / folder).rglob("*.py"))


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_imports_another(service):
    """A service can be installed, changed and stopped without any other; what two need is in shared."""
    for path in sources_of(f"services/{service}"):
        for name in imports_of(path):
            parts = name.split(".")
            assert parts[0] != "services" or parts[1] == service, f"{path.relative_to(ROOT)} imports {name}"


def test_shared_imports_no_service():
    """What is shared does not know who shares it."""
    for path in sources_of("shared"):
        assert not [name for name in imports_of(path) if name.split(".")[0] == "services"], path


@pytest.mark.parametrize("pure", PURE)
def test_pure_modules_do_no_input_or_output(pure):
    """A decision can be tested without a network, a disk or a minute."""
    assert not {name.split(".")[0] for name in imports_of(ROOT / pure)} & INPUT_AND_OUTPUT


def test_services_are_found():
    """The rules above look at something."""
    assert {"emulator", "ingest", "scorer", "simulator", "trainer"} <= set(SERVICES)
