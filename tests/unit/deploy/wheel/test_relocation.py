import base64
import hashlib
import zipfile
from pathlib import Path

import pytest
from relocation import ROOTS, RelocationError, relocate_wheel

ROOT = Path(__file__).parents[4]
INFO = "fleetprice-1.dist-info"
FILES = {
    "services/__init__.py": "",
    "services/cli/__init__.py": "",
    "services/cli/__main__.py": "from shared.streams import read\n",
    "services/cli/table.csv": "services.cli",
    "shared/__init__.py": '__version__ = "1"\n',
    "shared/streams/__init__.py": "read = 1\n",
    "models/price/1/model.onnx": "graph",
    f"{INFO}/METADATA": "Name: fleetprice\n\nservices.cli\n",
    f"{INFO}/entry_points.txt": "[console_scripts]\nfleetprice = services.cli.__main__:main\n",
    f"{INFO}/RECORD": "",
}


@pytest.fixture
def relocate(tmp_path):
    """Return a function that relocates a wheel of given files and returns the new wheel's texts by name."""

    def run(files):
        source, target = tmp_path / "source.whl", tmp_path / "target.whl"
        with zipfile.ZipFile(source, "w") as archive:
            for name, text in files.items():
                archive.writestr(zipfile.ZipInfo(name), text)
        relocate_wheel(source, target)
        with zipfile.ZipFile(target) as archive:
            return {name: archive.read(name).decode() for name in archive.namelist()}

    return run


def test_every_package_is_below_one(relocate):
    """Code, data and models are in `fleetprice`; imports and entry points name it."""
    files = relocate(FILES)
    assert {name for name in files if not name.startswith("fleetprice/")} == {
        f"{INFO}/METADATA",
        f"{INFO}/entry_points.txt",
        f"{INFO}/RECORD",
    }
    assert files["fleetprice/__init__.py"] == FILES["shared/__init__.py"]
    assert files["fleetprice/cli/__main__.py"] == "from fleetprice.streams import read\n"
    assert files["fleetprice/registry/models/price/1/model.onnx"] == "graph"
    assert "fleetprice = fleetprice.cli.__main__:main" in files[f"{INFO}/entry_points.txt"]


def test_other_files_are_as_they_were(relocate):
    """A file that is neither Python source nor entry points keeps its bytes."""
    files = relocate(FILES)
    assert files["fleetprice/cli/table.csv"] == "services.cli"
    assert files[f"{INFO}/METADATA"] == FILES[f"{INFO}/METADATA"]


def test_the_record_lists_the_new_files(relocate):
    """An installer that checks digests accepts the wheel."""
    files = relocate(FILES)
    assert list(files)[-1] == f"{INFO}/RECORD"
    record = dict(line.split(",", 1) for line in files[f"{INFO}/RECORD"].splitlines())
    assert record.keys() == files.keys()
    for name in files.keys() - {f"{INFO}/RECORD"}:
        digest = base64.urlsafe_b64encode(hashlib.sha256(files[name].encode()).digest()).decode().rstrip("=")
        assert record[name] == f"sha256={digest},{len(files[name].encode())}"


@pytest.mark.parametrize(
    "added",
    ["shared/cli/tables.py", "shared/cli.py", "services/registry/models/price/1/model.onnx"],
)
def test_two_files_of_one_name_are_refused(relocate, added):
    """A service and a library cannot have the same name in the package: the build fails."""
    with pytest.raises(RelocationError, match="would be fleetprice/"):
        relocate({**FILES, added: "x = 1\n"})


def test_services_and_libraries_have_names_of_their_own():
    """In a wheel they are in the same package."""
    services, libraries = (
        {path.stem for path in (ROOT / root).iterdir()} - {"__init__", "__pycache__"} for root in ROOTS
    )
    assert not services & libraries
