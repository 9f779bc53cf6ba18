"""docs/reference/log-events.md: every log event, from the calls that write them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from docs.reference.sources import TOO_CLEVER, Module, Sources, text_of

# Method of a logger → level of the line. `exception` adds the traceback.
LEVELS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
}
LOGGERS = ("log", "_log", "logger")
MORE = "…"

_INTRO = """# Log events

Generated from the sources by `make reference`; a test keeps it so.

Services log to stderr, one event a line: as JSON, or as text on a terminal (`FLEETPRICE_LOG_FORMAT`). Each
line has `event`, `level`, `timestamp` (UTC) and `service`; lines of one HTTP request share its `request_id`.

The level says who must act: `info` nobody, `warning` somebody later, `error` somebody now. Above `debug`
(`FLEETPRICE_LOG_LEVEL`) no line is written for a single event of a hub or a single request.

Fields have one spelling: `stream`, `partition` (a number), `sequence_number` (with `first_`, `last_` or
`next_` before it), `reason` (the error's text), `…_s` (seconds), `…_bytes`. A lone `…` stands for fields
that differ from case to case. What to do about an event is on the page of its service:
[ingest](../ingest.md), [the scorer](../scorer.md), [the emulator](../emulator.md).
"""


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One event at one level, with the fields of all calls in one module that write it."""

    name: str
    level: str
    fields: tuple[str, ...]
    module: Module

    @property
    def owner(self) -> str:
        """The service, verb or library, as in `services/cli/up`."""
        parts = self.module.path.parts
        return "/".join(parts[: 3 if parts[1] == "cli" else 2])


def log_events_of(sources: Sources) -> list[LogEvent]:
    """All log events, by name. Raises ValueError if a name cannot be read without running the call."""
    found: dict[tuple[str, str, str], LogEvent] = {}
    for module in sources.modules.values():
        for event in _written_in(module):
            key = (event.name, event.level, module.name)
            before = found[key].fields if key in found else ()
            fields = tuple(dict.fromkeys((*before, *event.fields)))
            found[key] = LogEvent(event.name, event.level, fields, module)
    return [found[key] for key in sorted(found)]


def _written_in(module: Module) -> Iterator[LogEvent]:
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    for node in ast.walk(module.tree):
        if isinstance(node, functions):
            values = _values_of(node)
            for call in ast.walk(node):
                if isinstance(call, ast.Call) and (levels := _levels_of(call.func, values)):
                    yield from _events(module, call, levels, values)


def _values_of(function: ast.AST) -> dict[str, ast.expr]:
    """Name → the expression last assigned to it in this function."""
    found: dict[str, ast.expr] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            found |= {target.id: node.value for target in node.targets if isinstance(target, ast.Name)}
    return found


def _levels_of(callee: ast.expr, values: dict[str, ast.expr]) -> set[str]:
    """The levels at which a call logs, two if it calls `log.error if … else log.warning`."""
    match callee:
        case ast.Attribute(value=logger, attr=method) if method in LEVELS and _is_logger(logger):
            return {LEVELS[method]}
        case ast.Name(id=name) if isinstance(values.get(name), ast.IfExp | ast.Attribute):
            return _levels_of(values[name], {})
        case ast.IfExp(body=body, orelse=orelse):
            return _levels_of(body, values) | _levels_of(orelse, values)
    return set()


def _is_logger(node: ast.expr) -> bool:
    return ast.unparse(node).rpartition(".")[2] in LOGGERS


def _events(
    module: Module, call: ast.Call, levels: set[str], values: dict[str, ast.expr]
) -> Iterator[LogEvent]:
    fields = tuple(field for keyword in call.keywords for field in _fields_of(keyword, values))
    for name in _names_of(call.args[0] if call.args else call.func):
        if name is None:
            raise ValueError(TOO_CLEVER.format(place=module.place(call), text=ast.unparse(call)))
        for level in levels:
            yield LogEvent(name, level, fields, module)


def _names_of(node: ast.expr) -> Iterator[str | None]:
    if isinstance(node, ast.IfExp):
        yield from (*_names_of(node.body), *_names_of(node.orelse))
    else:
        yield text_of(node)


def _fields_of(keyword: ast.keyword, values: dict[str, ast.expr]) -> Iterator[str]:
    if keyword.arg is not None:
        yield keyword.arg
        return
    source = keyword.value
    if isinstance(source, ast.Name):
        source = values.get(source.id, source)
    known = [text_of(key) for key in source.keys if key] if isinstance(source, ast.Dict) else [MORE]
    yield from (name or MORE for name in known)


def log_events_page(sources: Sources) -> str:
    """The page, one table for each service, verb and library."""
    events = log_events_of(sources)
    return _INTRO + "".join(
        _section(owner, [event for event in events if event.owner == owner])
        for owner in sorted({event.owner for event in events})
    )


def _section(owner: str, events: list[LogEvent]) -> str:
    head = f"\n## {owner}\n\n| event | level | fields | written in |\n|---|---|---|---|\n"
    return head + "".join(_row(event) for event in events)


def _row(event: LogEvent) -> str:
    fields = ", ".join(field if field == MORE else f"`{field}`" for field in event.fields)
    return f"| `{event.name}` | {event.level} | {fields} | `{event.module.path}` |\n"
