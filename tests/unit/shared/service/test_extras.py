import pytest

from shared.service.errors import MissingExtra
from shared.service.extras import needs_extra, requirement_of

WHEEL = "file:///downloads/fleetprice-0.1.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("origin", "requirement"),
    [
        ({"url": WHEEL, "archive_info": {}}, f"'fleetprice[ingest] @ {WHEEL}'"),
        ({"url": "file:///src", "dir_info": {}}, "'fleetprice[ingest] @ file:///src'"),
        (
            {"url": "https://git.example/f.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "'fleetprice[ingest] @ git+https://git.example/f.git@abc'",
        ),
    ],
)
def test_the_hint_installs_from_where_the_project_came(origin, requirement):
    """fleetprice is on no index: a wheel, a folder or a repository is named again, with the extra."""
    assert requirement_of("ingest", "0.1.0", origin) == requirement


def test_an_index_that_is_not_recorded_is_left_to_the_person():
    """pip does not record an index or a folder of wheels: the hint says that it must be named."""
    assert "--find-links" in requirement_of("ingest", "0.1.0", None)


def test_a_module_of_ours_that_is_missing_is_a_bug():
    """Only a package of somebody else can be missing for want of an extra."""
    with pytest.raises(ModuleNotFoundError), needs_extra("ingest", "ingest"):
        import shared.no_such_module  # noqa: F401, PLC0415
    with pytest.raises(MissingExtra, match=r"extra ingest \(no_such_package is not installed\)"):  # noqa: SIM117
        with needs_extra("ingest", "ingest"):
            import no_such_package  # noqa: F401, PLC0415
