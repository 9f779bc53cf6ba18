"""The plugin as another project's tests use it: with their own pytest, in its own process."""

import os
import re
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

DOCS = Path(__file__).parents[4] / "docs" / "emulator.md"
PLUGIN = "services.emulator.pytest_plugin"
# azure-eventhub leaves connections that the other side closed first to the collector (see pyproject.toml).
LEAKY_SDK = ["-W", "ignore:unclosed:ResourceWarning", "-W", "ignore:loop is closed:ResourceWarning"]


@pytest.fixture
def project(pytester, monkeypatch):
    """Run a project's tests, warnings as errors, with our plugin and other named ones."""
    # Named rather than found: the same whether or not our entry point is installed beside this checkout.
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[4])]))

    def run(source, *arguments, plugins=()):
        pytester.makepyfile(test_theirs=source)
        named = [part for plugin in (PLUGIN, *plugins) for part in ("-p", plugin)]
        return pytester.runpytest_subprocess(
            *named, "-W", "error", *LEAKY_SDK, "-p", "no:cacheprovider", *arguments, timeout=100
        )

    return run


def test_the_ten_lines_of_the_newcomers_page(project):
    """The first example of the documentation runs unchanged."""
    example = re.search(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    assert len([line for line in example.splitlines() if line.strip()]) <= 10
    project(example).assert_outcomes(passed=1)


SYNC = """
    import pytest
    from azure.eventhub import EventData, EventHubConsumerClient, EventHubProducerClient
    from azure.eventhub.exceptions import EventHubError
    from azure.storage.blob import BlobServiceClient

    def send(hub, *bodies, **placed):
        client = EventHubProducerClient.from_connection_string(hub.connection_string, retry_total=0)
        with client:
            client.send_batch([EventData(body) for body in bodies], **placed)

    def test_what_is_sent_is_there(event_hubs):
        hub = event_hubs.create_hub("orders", partitions=2, consumer_groups=["audit"])
        send(hub, b"one", b"two", partition_id="1")
        send(hub, "three", partition_key="k")
        events = hub.events(at_least=3)
        assert [event.body for event in events if event.partition_key is None] == [b"one", b"two"]
        assert [event.sequence_number for event in events if event.partition_key is None][0] == 0
        assert {event.partition_key for event in events} == {None, "k"}
        consumer = EventHubConsumerClient.from_connection_string(hub.connection_string, "audit")
        with consumer:
            assert consumer.get_partition_ids() == hub.partition_ids == ["0", "1"]

    def test_another_test_sees_nothing_of_it(event_hubs, fleetprice_emulator, tmp_path):
        assert {hub.name for hub in event_hubs.hubs()} == {"telemetry", "predictions"}
        assert fleetprice_emulator.event_hubs is event_hubs
        assert fleetprice_emulator.data.is_relative_to(tmp_path)

    def test_what_does_not_come_is_told(event_hubs):
        hub = event_hubs.hub("telemetry")
        with pytest.raises(TimeoutError, match="hub telemetry holds 0 events, not 1"):
            hub.events(at_least=1, timeout_s=0.01)

    def test_hubs_come_and_go(event_hubs):
        first, second = event_hubs.create_hub(), event_hubs.create_hub()
        assert first.name != second.name
        event_hubs.delete_hub(first.name)
        with pytest.raises(Exception, match="there is no hub"):
            event_hubs.hub(first.name)
        with pytest.raises(Exception, match="1 to 1024 partitions"):
            event_hubs.create_hub("large", partitions=5000)

    def test_files(azure_storage):
        service = BlobServiceClient.from_connection_string(azure_storage.connection_string)
        with service:
            service.create_container("inbox").upload_blob("a/b.txt", b"hello")
        assert (azure_storage.files / "inbox" / "a" / "b.txt").read_bytes() == b"hello"
        by_url = BlobServiceClient(azure_storage.account_url, azure_storage.account_key)
        with by_url:
            assert {one.name for one in by_url.list_containers()} == {"checkpoints", "inbox", "lake"}

    def test_a_fault_of_the_hub(event_hubs):
        hub = event_hubs.create_hub("orders")
        with event_hubs.faults.inject("reject", hub="orders", times="always") as fault:
            with pytest.raises(EventHubError):
                send(hub, b"lost")
            assert fault.struck
        send(hub, b"kept")
        assert [event.body for event in hub.events()] == [b"kept"]

    def test_a_fault_of_the_storage(azure_storage):
        service = BlobServiceClient.from_connection_string(azure_storage.connection_string, retry_total=0)
        with service:
            fault = azure_storage.faults.inject("fail", times="always")
            with pytest.raises(Exception, match="ServerBusy"):
                service.create_container("inbox")
            assert fault.struck == 1
            azure_storage.faults.clear()
            service.create_container("inbox")

    def test_a_misspelt_fault(event_hubs, azure_storage):
        with pytest.raises(ValueError, match="tims"):
            event_hubs.faults.inject("reject", tims=1)
        with pytest.raises(ValueError, match="kind"):
            azure_storage.faults.inject("explode")

    def test_nothing_is_printed(event_hubs, capfd):
        event_hubs.create_hub("quiet")
        assert capfd.readouterr() == ("", "")
"""


def test_sync_tests(project):
    """Synchronous tests can send, use files and faults, and leave nothing for the next test."""
    project(SYNC).assert_outcomes(passed=9)


ASYNC = """
    import asyncio
    import pytest
    from azure.eventhub import EventData
    from azure.eventhub.aio import EventHubConsumerClient, EventHubProducerClient
    from azure.storage.filedatalake.aio import DataLakeServiceClient

    @pytest.fixture
    async def producer(event_hubs):
        hub = event_hubs.create_hub("orders", partitions=1)
        async with EventHubProducerClient.from_connection_string(hub.connection_string) as producer:
            yield producer

    async def test_async_clients(event_hubs, producer, azure_storage):
        await producer.send_batch([EventData(b"one"), EventData(b"two")])
        hub = event_hubs.hub("orders")
        received, both = [], asyncio.Event()

        async def on_event(context, event):
            received.append(event.body_as_str())
            if len(received) == 2:
                both.set()

        consumer = EventHubConsumerClient.from_connection_string(hub.connection_string, "$Default")
        async with consumer:
            reading = asyncio.create_task(
                consumer.receive(on_event, partition_id="0", starting_position="-1")
            )
            async with asyncio.timeout(240):
                await both.wait()
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)
        assert received == ["one", "two"]
        async with DataLakeServiceClient.from_connection_string(azure_storage.connection_string) as lake:
            await lake.get_file_client("lake", "a/b").upload_data(b"hello", overwrite=True)
        assert (azure_storage.files / "lake" / "a" / "b").read_bytes() == b"hello"

    async def test_waiting_beside_a_task_of_the_same_loop(event_hubs, producer):
        sending = asyncio.create_task(producer.send_event(EventData(b"late")))
        events = await asyncio.to_thread(event_hubs.hub("orders").events, at_least=1, timeout_s=240)
        await sending
        assert [event.body for event in events] == [b"late"]
"""


def test_async_tests(project):
    """Under pytest-asyncio the async SDK works in the loop of each test."""
    settings = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    project(ASYNC, *settings, plugins=["pytest_asyncio.plugin"]).assert_outcomes(passed=2)


def test_one_emulator_for_the_session_in_each_worker(project):
    """Each pytest-xdist worker has one emulator, in which tests use separate hubs."""
    source = """
        import pytest
        from azure.eventhub import EventData, EventHubProducerClient

        @pytest.mark.parametrize("number", range(6))
        def test_a_hub_each(fleetprice_emulator_session, number):
            hub = fleetprice_emulator_session.event_hubs.create_hub()
            with EventHubProducerClient.from_connection_string(hub.connection_string) as producer:
                producer.send_event(EventData(str(number)))
            assert [event.body for event in hub.events()] == [str(number).encode()]
    """
    project(source, "-n", "2", plugins=["xdist.plugin"]).assert_outcomes(passed=6)


def test_hubs_of_a_config_json(project, pytester):
    """With the setting, every emulator starts with the hubs of the project's Config.json."""
    pytester.makefile(
        ".json",
        Config='{"UserConfig": {"NamespaceConfig": [{"Type": "EventHub", "Name": "emulatorNs1", "Entities": '
        '[{"Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [{"Name": "cg1"}]}]}]}}',
    )
    source = """
        def test_theirs(event_hubs):
            assert event_hubs.hub("eh1").partition_ids == ["0", "1"]
    """
    setting = ("-o", "fleetprice_emulator_config=Config.json")
    project(source, *setting).assert_outcomes(passed=1)
    broken = project(source, "-o", "fleetprice_emulator_config=missing.json")
    broken.assert_outcomes(errors=1)
    broken.stdout.fnmatch_lines(["*missing.json cannot be read: No such file or directory"])


def test_who_asks_for_nothing_pays_nothing(project):
    """A project that does not use the fixtures imports no server, SDK or event loop."""
    source = """
        import sys

        def test_theirs():
            heavy = {"asyncio", "aiohttp", "azure", "uvloop", "msgspec", "pydantic", "structlog"}
            ours = {name for name in sys.modules if name.split(".")[0] in {"services", "shared"}}
            assert not heavy & sys.modules.keys()
            assert ours == {"services", "services.emulator", "services.emulator.pytest_plugin"}
    """
    project(source).assert_outcomes(passed=1)
