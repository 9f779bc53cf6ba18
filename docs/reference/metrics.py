"""docs/reference/metrics.md: every metric, from the calls that declare them."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from docs.reference.sources import TOO_CLEVER, Module, Sources, text_of

PREFIX = "fleetprice_"
# Prometheus' own classes, and those of shared/http/fast_metrics.py.
KINDS = {
    "Counter": "counter",
    "Counts": "counter",
    "Gauge": "gauge",
    "Histogram": "histogram",
    "Distributions": "histogram",
}

_INTRO = """# Metrics

Generated from the sources by `make reference`; a test keeps it so.

Ingest, the scorer and the simulator serve their metrics at `/metrics` in Prometheus' text format, on the
port that `fleetprice <verb> --help` names. With `--workers` one port serves the metrics of all processes;
each sample then has the label `worker`.

A metric is called `fleetprice_<service>_<noun>_<unit>`, a counter with `_total` at its end; a library that
several services use has its own name in place of the service's. Labels take values of a closed set: none is
ever a vehicle.
"""


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it is declared."""

    name: str
    kind: str
    about: str
    labels: tuple[str, ...]
    module: Module

    @property
    def owner(self) -> str:
        """The service or library, as in `services/ingest`."""
        return "/".join(self.module.path.parts[:2])


def metrics_of(sources: Sources) -> list[Metric]:
    """All metrics, by name. Raises ValueError if a declaration cannot be read without running it."""
    found = [metric for module in sources.modules.values() for metric in _declared_in(module)]
    return sorted(found, key=lambda metric: metric.name)


def _declared_in(module: Module) -> Iterator[Metric]:
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Call) and node.args and (text_of(node.args[0]) or "").startswith(PREFIX):
            yield _metric(module, node)


def _metric(module: Module, call: ast.Call) -> Metric:
    keywords = {keyword.arg: keyword.value for keyword in call.keywords}
    labels = call.args[2] if len(call.args) > len(("name", "about")) else keywords.get("labelnames")
    try:
        kind = KINDS[ast.unparse(call.func).rpartition(".")[2]]
        name, about = map(ast.literal_eval, call.args[:2])
        return Metric(name, kind, about, tuple(ast.literal_eval(labels)) if labels else (), module)
    except (KeyError, ValueError) as error:
        place, text = module.place(call), ast.unparse(call)
        raise ValueError(TOO_CLEVER.format(place=place, text=text)) from error


def metrics_page(sources: Sources) -> str:
    """The page, one table for each service and library."""
    metrics = metrics_of(sources)
    return _INTRO + "".join(
        _section(sources, owner, [metric for metric in metrics if metric.owner == owner])
        for owner in sorted({metric.owner for metric in metrics})
    )


def _section(sources: Sources, owner: str, metrics: list[Metric]) -> str:
    head = f"\n## {owner}\n\n| metric | type | labels | meaning | served by |\n|---|---|---|---|---|\n"
    return head + "".join(_row(metric, served_by(sources, metric)) for metric in metrics)


def served_by(sources: Sources, metric: Metric) -> list[str]:
    return sources.services_by_module.get(metric.module.name, [])


def _row(metric: Metric, services: list[str]) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.about} | {', '.join(services)} |\n"
