"""The emulator inside a program, without pytest."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from azure.eventhub import EventData, EventHubProducerClient, TransportType
from azure.identity import ManagedIdentityCredential
from azure.storage.blob import BlobServiceClient

from services.emulator import Emulator
from tests.support.embedded_stack import PATIENCE_S


def send(hub, body):
    with EventHubProducerClient.from_connection_string(hub.connection_string) as producer:
        producer.send_event(EventData(body))


def send_many(producer):
    for _ in range(100):
        producer.send_event(EventData(b"x" * 1000))


def test_it_leaves_nothing_behind():
    """Its thread has ended and its temporary folder is deleted; later calls are refused."""
    before = threading.active_count()
    with Emulator() as emulator:
        assert emulator.data.is_dir()
        hub = emulator.event_hubs.create_hub()
    assert threading.active_count() == before
    assert not emulator.data.exists()
    with pytest.raises(RuntimeError, match="the emulator does not run"):
        hub.events()


def test_data_that_is_to_be_kept(tmp_path):
    """A later emulator on the same folder continues with its events."""
    with Emulator(tmp_path / "data") as emulator:
        send(emulator.event_hubs.create_hub("orders", partitions=1), "first")
    with Emulator(tmp_path / "data") as emulator:
        hub = emulator.event_hubs.hub("orders")
        send(hub, "second")
        assert [(event.body, event.sequence_number) for event in hub.events()] == [
            (b"first", 0),
            (b"second", 1),
        ]


def test_two_at_once():
    """Two emulators have their own ports and their own hubs."""
    with Emulator() as one, Emulator() as other:
        send(one.event_hubs.hub("telemetry"), "one")
        assert len(one.event_hubs.hub("telemetry").events(at_least=1)) == 1
        assert other.event_hubs.hub("telemetry").events() == []


def test_threads_of_a_program_share_it():
    """Many threads can create and read hubs at the same time."""
    with Emulator() as emulator, ThreadPoolExecutor(8) as pool:
        names = {f"hub-{number}" for number in range(24)}
        made = pool.map(lambda name: emulator.event_hubs.create_hub(name, partitions=1), names)
        assert {hub.name for hub in made} == names
        assert names < {hub.name for hub in emulator.event_hubs.hubs()}


def test_waiting_for_events_that_come_later():
    """`events(at_least=…)` returns as soon as that many events exist."""
    with Emulator() as emulator:
        hub = emulator.event_hubs.create_hub()
        sender = threading.Thread(target=send, args=(hub, "late"))
        sender.start()
        assert [event.body for event in hub.events(at_least=1, timeout_s=PATIENCE_S)] == [b"late"]
        sender.join()


def test_what_retention_takes_does_not_count():
    """Only events that the hub still holds are listed."""
    with Emulator() as emulator:
        hub = emulator.event_hubs.create_hub(partitions=1, retention_hours=1e-6)
        send(hub, "short-lived")
        deadline_s = time.monotonic() + 60
        while hub.events():
            assert time.monotonic() < deadline_s
        with pytest.raises(TimeoutError, match="holds 0 events"):
            hub.events(at_least=1, timeout_s=0.01)


def test_throttling():
    """A program that exceeds its throughput units gets a server-busy error."""
    with Emulator() as emulator:
        hub = emulator.event_hubs.create_hub(partitions=1)
        emulator.event_hubs.throttle(0.001)
        producer = EventHubProducerClient.from_connection_string(hub.connection_string, retry_total=0)
        with producer, pytest.raises(Exception, match="50002"):
            send_many(producer)
        emulator.event_hubs.throttle(None)
        send(hub, "through")


def test_tls_and_tokens(monkeypatch):
    """A program that signs in with a managed identity gets tokens and reaches both services over TLS."""
    with Emulator(tls=True) as emulator:
        for name, value in emulator.environment.items():
            monkeypatch.setenv(name, value)
        address = emulator.event_hubs.tls_connection_string.split(";")[0].removeprefix("Endpoint=")
        producer = EventHubProducerClient(
            "127.0.0.1",
            "telemetry",
            ManagedIdentityCredential(),
            custom_endpoint_address=address,
            connection_verify=str(emulator.ca),
            transport_type=TransportType.Amqp,
        )
        with producer:
            producer.send_event(EventData("signed in"))
        assert [event.body for event in emulator.event_hubs.hub("telemetry").events()] == [b"signed in"]
        assert emulator.storage.account_url.startswith("https://")
        with BlobServiceClient(emulator.storage.account_url, ManagedIdentityCredential()) as service:
            assert {one.name for one in service.list_containers()} == {"checkpoints", "lake"}
