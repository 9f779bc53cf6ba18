import importlib
import subprocess
import sys

import pytest

from shared import __version__

PUBLIC = {
    "fleetprice.emulator": "services.emulator",
    "fleetprice.predictions": "shared.predictions",
    "fleetprice.contract": "shared.contract",
}


@pytest.mark.parametrize(("installed", "path"), PUBLIC.items())
def test_public_names_exist_under_both_names(installed, path):
    """A checkout's `fleetprice.…` has the same objects as the folder, not copies of them."""
    ours, theirs = importlib.import_module(path), importlib.import_module(installed)
    assert theirs is ours
    assert sorted(ours.__all__) == sorted(ours._MODULES)
    for name in ours.__all__:
        assert getattr(theirs, name) is getattr(ours, name)


def test_modules_below_are_the_same():
    """No module is loaded twice, whichever name comes first."""
    import fleetprice.predictions.watermark  # noqa: PLC0415
    import shared.predictions.watermark  # noqa: PLC0415

    assert sys.modules["fleetprice.predictions.watermark"] is sys.modules["shared.predictions.watermark"]
    assert shared.predictions.watermark.__spec__.name == "shared.predictions.watermark"
    assert fleetprice.__version__ == __version__


@pytest.mark.parametrize("name", ["fleetprice.nothing", "fleetprice.contract.nothing"])
def test_a_missing_module(name):
    """The error names the module that was imported."""
    with pytest.raises(ModuleNotFoundError, match=f"'{name}'"):
        importlib.import_module(name)


def test_a_service_starts_by_its_installed_name():
    """`python -m fleetprice.<service>` works in a checkout as in a wheel."""
    code = (
        "import sys, runpy; sys.path[:] = " + repr(sys.path) + "; sys.argv[1:] = ['--help']; "
        "runpy.run_module('fleetprice.emulator', run_name='__main__', alter_sys=True)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout.startswith("usage: python -m services.emulator")
