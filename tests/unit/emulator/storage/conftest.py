import pytest

from services.emulator.storage.store.file_store import FileStore

NOW_S = 1_800_000_000.0


@pytest.fixture
def open_store(tmp_path):
    """Open the store of this test's folder; the ones opened before are closed first."""
    opened = []

    def open_store(**options):
        while opened:
            opened.pop().close()
        store = FileStore(tmp_path, "account", clock=lambda: NOW_S, **options)
        store.open()
        opened.append(store)
        return store

    yield open_store
    while opened:
        opened.pop().close()
