import json

import pytest

from services.emulator.event_hubs.config_file import parse_config, read_config
from services.emulator.event_hubs.declared_hubs import DeclaredHub
from shared.service.errors import SettingsError

ENTITY = {"Name": "eh1", "PartitionCount": "2", "ConsumerGroups": [{"Name": "cg1"}]}


def config(*entities, **namespace):
    """A file as Microsoft's schema has it."""
    namespaces = [{"Type": "EventHub", "Name": "emulatorNs1", "Entities": list(entities), **namespace}]
    return {"UserConfig": {"NamespaceConfig": namespaces, "LoggingConfig": {"Type": "File"}}}


def hubs(*entities, **namespace):
    return parse_config(json.dumps(config(*entities, **namespace)).encode())


def test_what_the_file_declares():
    """Every hub comes with its partitions and groups, and with $Default, named or not."""
    others = {"Name": "EH-2.b_c", "PartitionCount": 32, "ConsumerGroups": [{"Name": "$default"}]}
    assert hubs(ENTITY, others, {"Name": "eh3", "PartitionCount": 1}) == (
        DeclaredHub("eh1", 2, ("$Default", "cg1")),
        DeclaredHub("EH-2.b_c", 32, ("$Default",)),
        DeclaredHub("eh3", 1, ("$Default",)),
    )


def test_more_than_microsofts_emulator_takes():
    """Its own limits (10 hubs, 32 partitions, 20 groups, the namespace's name) are not ours."""
    groups = [{"Name": f"g{number}"} for number in range(40)]
    many = [
        {"Name": f"eh{number}", "PartitionCount": "1024", "ConsumerGroups": groups} for number in range(40)
    ]
    assert len(hubs(*many, Name="anything")) == 40


def test_a_file_as_editors_leave_it(tmp_path):
    """A byte order mark, unknown names and no LoggingConfig are no reason to refuse it."""
    found = config(ENTITY, Comment="ours")
    del found["UserConfig"]["LoggingConfig"]
    path = tmp_path / "Config.json"
    path.write_text(json.dumps({"$schema": "x", **found}), encoding="utf-8-sig")
    assert read_config(path) == (DeclaredHub("eh1", 2, ("$Default", "cg1")),)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"{", "not JSON: Expecting property name"),
        (b"\xff\xfe{}", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "Expected `object`, got `array`"),
        (b"{}", "missing required field `UserConfig`"),
        (b'{"userConfig": {}}', "userConfig is not a name of its schema; did you mean UserConfig?"),
        (b'{"UserConfig": {"NamespaceConfig": []}}', "NamespaceConfig has 0 namespaces"),
    ],
)
def test_what_is_no_config(text, sentence):
    """The message names the error in one line."""
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as refused:
        parse_config(text)
    assert sentence in str(refused.value)


@pytest.mark.parametrize(
    ("entity", "sentence"),
    [
        ({"PartitionCount": 0}, "hub 'eh1': a hub has 1 to 1024 partitions"),
        ({"PartitionCount": "1025"}, "hub 'eh1': a hub has 1 to 1024 partitions"),
        ({"PartitionCount": -1}, "hub 'eh1': a hub has 1 to 1024 partitions"),
        ({"PartitionCount": "-1"}, "hub eh1: PartitionCount '-1' is no whole number"),
        ({"PartitionCount": "two"}, "hub eh1: PartitionCount 'two' is no whole number"),
        ({"PartitionCount": "9" * 5000}, "is no whole number"),
        ({"PartitionCount": 2.5}, "PartitionCount"),
        ({"PartitionCount": None}, "PartitionCount"),
        ({"Name": "a hub"}, "hub 'a hub': a hub's name has letters"),
        ({"Name": ""}, "hub '': a hub's name"),
        ({"Name": 7}, "Name"),
        ({"ConsumerGroups": [{"Name": "a/b"}]}, "hub 'eh1': 'a/b' cannot be a consumer group's name"),
        ({"ConsumerGroups": [{"Name": "a"}, {"Name": "A"}]}, "hub eh1: consumer group a is declared twice"),
        ({"ConsumerGroups": ["cg1"]}, "Expected `object`, got `str`"),
        ({"ConsumerGroup": []}, "ConsumerGroup is not a name of its schema; did you mean ConsumerGroups?"),
        ({"partitioncount": 1}, "did you mean PartitionCount?"),
    ],
)
def test_a_hub_that_cannot_be(entity, sentence):
    """The hub and what is wrong with it are named."""
    with pytest.raises(ValueError, match=r"\A[^\n]+\Z") as refused:
        hubs({**ENTITY, **entity})
    assert sentence in str(refused.value)


def test_namespaces_that_cannot_be():
    """It is one namespace of event hubs, and each hub is declared once."""
    with pytest.raises(ValueError, match="namespace ns is of Type ServiceBus, not EventHub"):
        hubs(ENTITY, Type="ServiceBus", Name="ns")
    with pytest.raises(ValueError, match="hub eh1 is declared twice"):
        hubs(ENTITY, {**ENTITY, "Name": "EH1"})
    found = config(ENTITY)
    found["UserConfig"]["NamespaceConfig"] *= 2
    with pytest.raises(ValueError, match="has 2 namespaces; the emulator is one"):
        parse_config(json.dumps(found).encode())


def test_a_file_that_is_not_there(tmp_path):
    """A person reads its path and what is wrong with it."""
    with pytest.raises(SettingsError, match=r"Config.json cannot be read: No such file or directory\Z"):
        read_config(tmp_path / "Config.json")
    (tmp_path / "Config.json").write_text("{}")
    with pytest.raises(SettingsError, match=r"Config.json: Object missing required field"):
        read_config(tmp_path / "Config.json")
