"""Import rules of the project, checked in its source."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# Each library of `shared/` imports itself and the libraries before it.
LIBRARIES = (
    "service",
    "contract",
    "vehicles",
    "codec",
    "amqp",
    "streams",
    "predictions",
    "lake",
    "registry",
    "pricing",
    "http",
)
# Services, and verbs of the command line that are programs of their own.
UNITS = sorted(
    ".".join(path.parent.relative_to(ROOT).parts)
    for pattern in ("services/*/__main__.py", "services/cli/*/__main__.py")
    for path in ROOT.glob(pattern)
)
# They implement a protocol for any application, without hubs, vehicles or prices.
PROTOCOL_LIBRARIES = ("amqp",)
INPUT_AND_OUTPUT = {
    "asyncio",
    "os",
    "socket",
    "time",
    "aiohttp",
    "azure",
    "subprocess",
    "uvloop",
}
FILE_ACCESS = {
    "open",
    "read_text",
    "read_bytes",
    "write_text",
    "write_bytes",
    "exists",
    "mkdir",
    "unlink",
    "stat",
}
# The room of the Event Hubs SDK, and what measures the SDK itself or attacks its parser.
SDK_USERS = ("shared/streams/event_hubs/", "services/cli/bench/", "services/emulator/fuzz/")
VAGUE = re.compile(r"(^|_)(utils?|helpers?|common|managers?|base|misc)(_|$)")
SOURCES = sorted(path for top in ("services", "shared") for path in (ROOT / top).rglob("*.py"))


def imports_of(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def sources_of(folder):
    return [path for path in SOURCES if path.is_relative_to(ROOT / folder)]


def unit_of(module):
    """Return the unit of a module, or None for shared modules and for the command line itself."""
    found = [unit for unit in UNITS if module == unit or module.startswith(f"{unit}.")]
    return max(found, key=len, default=None)


def is_declared_pure(path):
    """Return whether a module's docstring declares it pure: without input or output."""
    docstring = ast.get_docstring(ast.parse(path.read_text())) or ""
    return re.search(r"\(pure\b|\bPure\b", docstring.partition("\n\n")[0]) is not None


@pytest.mark.parametrize("unit", UNITS)
def test_no_service_imports_another(unit):
    """A service can be installed, changed and stopped without any other; services share only `shared/`."""
    folder = ROOT / Path(*unit.split("."))
    for path in sources_of(folder):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if unit_of(module) != unit or unit == "services.cli":
            continue
        for name in imports_of(path):
            if name.split(".")[0] == "services":
                assert unit_of(name) == unit, f"{path.relative_to(ROOT)} imports {name}"


def test_shared_imports_no_service():
    """A library does not depend on the services that use it."""
    for path in sources_of("shared"):
        assert not [name for name in imports_of(path) if name.split(".")[0] == "services"], path


@pytest.mark.parametrize("library", LIBRARIES)
def test_libraries_import_downwards(library):
    """An import upwards would make a cycle of libraries."""
    allowed = {"shared", *(f"shared.{one}" for one in LIBRARIES[: LIBRARIES.index(library) + 1])}
    for path in sources_of(f"shared/{library}"):
        for name in imports_of(path):
            if name.split(".")[0] == "shared":
                assert ".".join(name.split(".")[:2]) in allowed, f"{path.relative_to(ROOT)} imports {name}"


@pytest.mark.parametrize("library", PROTOCOL_LIBRARIES)
def test_a_protocol_library_imports_no_application(library):
    """An application passes in its nodes, authenticator and refusals; the protocol imports none of them."""
    allowed = ("shared", "shared.service", f"shared.{library}")
    for path in sources_of(f"shared/{library}"):
        for name in imports_of(path):
            if name.split(".")[0] in {"services", "shared"}:
                assert ".".join(name.split(".")[:2]) in allowed, f"{name_of(path)} imports {name}"


@pytest.mark.parametrize("library", PROTOCOL_LIBRARIES)
def test_a_protocol_does_input_and_output_in_its_shell_only(library):
    """A protocol's state machine runs without a network; only its shell and timers import asyncio."""
    shell = {"asyncio_protocol.py", "heartbeat.py"}
    for path in sources_of(f"shared/{library}"):
        if path.name not in shell:
            assert not {name.split(".")[0] for name in imports_of(path)} & INPUT_AND_OUTPUT, name_of(path)


def module_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def module_level_imports(path, modules):
    """Yield our modules that `path` imports at its top level, also those for types only."""
    pending = list(ast.parse(path.read_text()).body)
    while pending:
        match pending.pop():
            case ast.If(body=body, orelse=orelse):
                pending += [*body, *orelse]
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name in modules)
            case ast.ImportFrom(module=str(module), names=names):
                for alias in names:
                    whole = f"{module}.{alias.name}"
                    yield whole if whole in modules else module


def find_cycles(graph):
    """Return the strongly connected components of more than one node (Tarjan)."""
    index, lowest, stack, cycles = {}, {}, [], []

    def visit(node):
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for other in graph.get(node, ()):
            if other not in index:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], index[other])
        if lowest[node] == index[node]:
            at = stack.index(node)
            if len(stack) > at + 1:
                cycles.append(sorted(stack[at:]))
            del stack[at:]

    for node in graph:
        if node not in index:
            visit(node)
    return cycles


def test_modules_import_in_no_cycle():
    """A module can be read, tested and moved with only the modules that it imports."""
    modules = {module_of(path) for path in SOURCES}
    assert not find_cycles(
        {module_of(path): set(module_level_imports(path, modules)) & modules for path in SOURCES}
    )


def test_cycles_are_found():
    """The rule above finds a cycle of three modules, and no other."""
    assert find_cycles({"a": ["b"], "b": ["c"], "c": ["a", "d"], "d": []}) == [["a", "b", "c"]]


def test_every_library_has_its_place():
    """A new library must be added to the order of imports, and every module is in a library."""
    assert {path.name for path in (ROOT / "shared").iterdir() if path.suffix != ".pyc"} - {"__pycache__"} == {
        "__init__.py",
        "py.typed",
        *LIBRARIES,
    }


def test_the_http_library_names_no_application():
    """Any service can serve HTTP with it, passing in paths, limits and error forms."""
    of_an_application = re.compile(r"/v\d|vehicle|scorer|(?<!fleet)price", re.IGNORECASE)
    for path in sources_of("shared/http"):
        assert not of_an_application.search(path.read_text()), path
        assert not {".".join(name.split(".")[:2]) for name in imports_of(path)} & {
            "shared.pricing",
            "shared.registry",
        }, path


def effects_of(path):
    """Yield calls that access files or take random numbers without a seed."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name("open") | ast.Name("print"):
                    yield node.func.id
                case ast.Attribute(ast.Name("random"), name) if name != "Random":
                    yield f"random.{name}"
                case ast.Attribute(_, name) if name in FILE_ACCESS:
                    yield name


@pytest.mark.parametrize("name", [name_of(path) for path in SOURCES if is_declared_pure(path)])
def test_pure_modules_do_no_input_or_output(name):
    """A decision can be tested without a network, a disk or a minute."""
    path = ROOT / name
    assert not {name.split(".")[0] for name in imports_of(path)} & INPUT_AND_OUTPUT
    assert not list(effects_of(path))


def test_one_room_knows_the_event_hubs_sdk():
    """Another transport, or another release of the SDK, changes one room; its errors are mapped there."""
    users = {
        name_of(path) for path in SOURCES for name in imports_of(path) if name.startswith("azure.eventhub")
    }
    assert not [name for name in users if not name.startswith(SDK_USERS)]


def test_modules_are_named_for_what_they_hold():
    """A module with a vague name would collect code that belongs elsewhere."""
    assert not [name_of(path) for path in SOURCES if VAGUE.search(path.stem)]


def test_services_are_found():
    """The rules above check the services that exist."""
    services = {"emulator", "ingest", "scorer", "simulator", "trainer", "compaction", "cli"}
    assert {f"services.{name}" for name in services} <= set(UNITS)
    assert {"services.cli.up", "services.cli.verify", "services.cli.chaos"} <= set(UNITS)


def test_no_test_imports_another_area():
    """Code that two areas of the tests need is in tests/support, not in a conftest or a test module."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for name in imports_of(path):
            if re.match(r"tests\.(?!support\b)", name):
                area = ".".join(path.relative_to(ROOT).parent.parts)
                assert name.startswith(f"{area}."), f"{name_of(path)} imports {name}"
                assert not re.search(r"\.conftest$", name), f"{name_of(path)} imports {name}"
