"""Which port each listener of the stack has."""

from dataclasses import astuple, dataclass, fields

from shared.service.errors import PortInUse
from shared.service.processes.free_ports import free_port, is_free

_STEPS = (0, 1, 2, 3, 4, 5, 7, 8)  # above the base, in the order of the fields


@dataclass(frozen=True, slots=True)
class Ports:
    """0 means any free one, until `chosen`."""

    event_hubs: int = 5672
    event_hubs_tls: int = 5671
    event_hubs_ws: int = 5673
    storage: int = 10000
    admin: int = 5300
    scorer: int = 8000
    ingest_metrics: int = 0
    simulator_metrics: int = 0


def laid_out(port_base: int | None) -> Ports:
    """Ports as the person asked: the usual ones, from a base on, or (base 0) any free ones.

    The gap is the console's.
    """
    if port_base is None:
        return Ports()
    if port_base == 0:
        return Ports(*(0 for _ in fields(Ports)))
    return Ports(*(port_base + step for step in _STEPS))


def chosen(wanted: Ports) -> Ports:
    """`wanted` with free ports for the zeros. Raises PortInUse for one that cannot be opened."""
    taken = {port for port in astuple(wanted) if port}
    numbers = []
    for field in fields(wanted):
        port = getattr(wanted, field.name)
        if port and not is_free(port):
            name = field.name.replace("_", " ")
            raise PortInUse(f"port {port} (for {name}) is in use: free it, or choose others with --port-base")
        if not port:
            taken.add(port := free_port(taken))
        numbers.append(port)
    return Ports(*numbers)
