"""Images that deploy/images/build.sh made, mounted by buildah."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from shared import __version__
from tests.images.container import Image


@dataclass(frozen=True, slots=True)
class Store:
    """The images below `folder`."""

    folder: Path

    @contextmanager
    def mount(self, service: str) -> Iterator[Image]:
        """Mount a writable layer over the service's image for the block."""
        name = f"localhost/fleetprice-{service}:{__version__}"
        working = self._buildah("from", "--pull-never", name)
        try:
            inspected = json.loads(self._buildah("inspect", "--type", "image", name))
            root = Path(self._buildah("mount", working))
            size = subprocess.run(["du", "-sb", str(root)], capture_output=True, text=True, check=True).stdout
            yield Image(inspected["Docker"]["config"], root, int(size.split()[0]))
        finally:
            self._buildah("rm", working)

    def _buildah(self, *arguments: str) -> str:
        places = ("--root", str(self.folder / "storage"), "--runroot", str(self.folder / "run"))
        command = ["buildah", *places, "--storage-driver", "overlay", *arguments]
        return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
