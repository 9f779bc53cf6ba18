"""The port of each listener of the stack."""

from dataclasses import astuple, dataclass, fields

from shared.service.errors import PortInUse
from shared.service.processes.free_ports import free_port, is_free

_STEPS = (0, 1, 2, 3, 4, 5, 7, 8)  # added to the base, in the order of the fields


@dataclass(frozen=True, slots=True)
class Ports:
    """The port of each listener. A port 0 is replaced by any free port in `choose_free`."""

    event_hubs: int = 5672
    event_hubs_tls: int = 5671
    event_hubs_ws: int = 5673
    storage: int = 10000
    admin: int = 5300
    scorer: int = 8000
    ingest_metrics: int = 0
    simulator_metrics: int = 0


def lay_out(port_base: int | None) -> Ports:
    """Return the default ports if `port_base` is None, else ports that follow `port_base`.

    If `port_base` is 0, all ports are 0: any free port. The gap in the ports is reserved for the console.
    """
    if port_base is None:
        return Ports()
    if port_base == 0:
        return Ports(*(0 for _ in fields(Ports)))
    return Ports(*(port_base + step for step in _STEPS))


def choose_free(wanted: Ports) -> Ports:
    """Replace each port 0 by a free port. Raises PortInUse if another port cannot be bound."""
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
