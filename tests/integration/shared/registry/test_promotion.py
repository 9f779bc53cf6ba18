"""Who made which version the champion, when and why; and what a model's first registry holds."""

import pytest

from shared.lake.client import Lake
from shared.registry.champion import decode_champion
from shared.registry.history import read_history
from shared.registry.layout import CHAMPION_FILE, PRICE, champion_path, model_path
from shared.registry.promotion import promote
from shared.registry.seed import seed_registry
from shared.registry.shipped import shipped_models
from shared.registry.store import add_version, read_from_lake, read_version
from shared.service.errors import ModelUnusable, NeedsAttention
from tests.support import model_versions

WHY = {"by": "a person", "reason": "a test"}


async def champion_of(lake):
    return decode_champion(await lake.read(champion_path(PRICE))).version


@pytest.fixture
async def registry(lake):
    """Versions 1 and 2, and no champion."""
    await add_version(lake, "1", PRICE, model_versions.SHIPPED)
    await add_version(lake, "2", PRICE, model_versions.made("2"))
    return lake


async def test_promotions_are_recorded_in_order(registry):
    """Each change of the champion, a rollback included, leaves a record of what, when, by whom and why."""
    for version in ("1", "2", "1"):
        await promote(registry, PRICE, version, **WHY)
        assert await champion_of(registry) == version
    history = await read_history(registry, PRICE)
    assert [(one.before, one.version) for one in history] == [(None, "1"), ("1", "2"), ("2", "1")]
    assert {(one.by, one.reason) for one in history} == {("a person", "a test")}
    assert [one.at for one in history] == sorted(one.at for one in history)


async def test_a_version_that_is_not_there_is_not_promoted(registry):
    """The champion stays, and nothing is recorded, if the registry has no such version."""
    await promote(registry, PRICE, "1", **WHY)
    for version in ("9", "../1"):
        with pytest.raises(ModelUnusable):
            await promote(registry, PRICE, version, **WHY)
    assert await champion_of(registry) == "1"
    assert len(await read_history(registry, PRICE)) == 1


class Interrupted(Lake):
    """A lake in which another promotion is made right before the pointer is replaced."""

    async def replace_if_unchanged(self, path, data, etag):
        await Lake(self._files).write(path, b'{"version":"1"}')
        return await super().replace_if_unchanged(path, data, etag)


async def test_the_first_of_two_promotions_wins(registry):
    """A promotion that was decided on another champion than the present one is refused."""
    await promote(registry, PRICE, "1", **WHY)
    with pytest.raises(NeedsAttention, match="changed meanwhile"):
        await promote(Interrupted(registry._files), PRICE, "2", **WHY)
    assert await champion_of(registry) == "1"
    assert not [file async for file in registry.list("_staging")]
    record = await promote(registry, PRICE, "2", **WHY)
    assert record.before == "1"
    assert await champion_of(registry) == "2"


async def test_a_broken_pointer_can_be_replaced(registry):
    """A pointer that nothing can read is replaced by a promotion, as if there had been no champion."""
    await registry.write(champion_path(PRICE), b"{")
    assert (await promote(registry, PRICE, "2", **WHY)).before is None
    assert await champion_of(registry) == "2"


async def test_a_version_is_never_changed(registry):
    """Files of a version that are there stay; a version that lacks some is completed."""
    await add_version(registry, "2", PRICE, {**model_versions.SHIPPED, "card.md": b"# Card"})
    assert await read_version(registry, "2", PRICE) == model_versions.made("2")
    assert await registry.read(f"{model_path(PRICE)}/2/card.md") == b"# Card"


async def test_a_lake_without_a_champion_gets_the_shipped_models(lake):
    """The shipped versions are copied byte for byte, the pointer too; a second time nothing happens."""
    await seed_registry(lake)
    shipped = shipped_models()
    files = {path.relative_to(shipped).as_posix(): path for path in shipped.rglob("*") if path.is_file()}
    copied = [file.path.removeprefix(f"{model_path(PRICE)}/") async for file in lake.list(model_path(PRICE))]
    assert sorted(copied) == sorted(files)
    for name, path in files.items():
        assert await lake.read(f"{model_path(PRICE)}/{name}") == path.read_bytes()
    assert await read_from_lake(lake, None) == model_versions.SHIPPED
    await lake.write(f"{model_path(PRICE)}/{CHAMPION_FILE}", b'{"version":"2"}')
    await seed_registry(lake)
    assert await champion_of(lake) == "2"
