import socket
from dataclasses import astuple, replace
from pathlib import Path

import pytest

from services.cli.up.ports import Ports, choose_free, lay_out
from shared.service.errors import PortInUse


def test_the_default_ports_are_the_promised_ones():
    """Hub 5672, its TLS 5671 and websockets 5673, storage 10000, admin 5300, scorer 8000."""
    ports = lay_out(None)
    assert (ports.event_hubs, ports.event_hubs_tls, ports.event_hubs_ws) == (5672, 5671, 5673)
    assert (ports.storage, ports.admin, ports.scorer) == (10000, 5300, 8000)


def test_a_base_lays_the_ports_out_from_there():
    """Hub P, TLS P+1, websockets P+2, storage P+3, admin P+4, scorer P+5, metrics P+7 and P+8."""
    assert lay_out(20_000) == Ports(
        event_hubs=20_000,
        event_hubs_tls=20_001,
        event_hubs_ws=20_002,
        storage=20_003,
        admin=20_004,
        scorer=20_005,
        ingest_metrics=20_007,
        simulator_metrics=20_008,
    )


def test_base_zero_means_any_free_port_for_every_listener():
    """Each listener has a port of its own, outside the range of outgoing connections."""
    numbers = astuple(choose_free(lay_out(0)))
    first_ephemeral = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert len(set(numbers)) == len(numbers)
    assert all(0 < number < max(first_ephemeral, 32_768) for number in numbers)


def test_a_port_in_use_is_refused_before_anything_starts():
    """The message names the port and how to choose others."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"{port}.*storage.*--port-base"):
            choose_free(replace(lay_out(0), storage=port))
