"""The editable install of a checkout, which `make install` makes."""

from pathlib import Path

from tests.support.environments import required_packages

ROOT = Path(__file__).parents[3]


def test_a_checkout_has_both_names(install):
    """Nothing is copied: site-packages names the checkout, where `fleetprice.X` is `services.X` itself."""
    lent = required_packages("fleetprice", "hatchling")  # which builds in the environment itself
    environment, added = install(lent, "--no-build-isolation", "-e", ROOT)
    assert {name.partition("-")[0] for name in added} == {"_fleetprice.pth", "fleetprice"}
    code = (
        "from fleetprice.emulator import Emulator; import services.emulator; "
        "assert Emulator is services.emulator.Emulator; print(services.__file__)"
    )
    ended = environment.run("python", "-c", code)
    assert (ended.stdout, ended.stderr) == (f"{ROOT / 'services' / '__init__.py'}\n", "")
    shown = environment.run("fleetprice", "--version")
    assert (shown.returncode, shown.stderr) == (0, "")
