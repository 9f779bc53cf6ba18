"""A container of one of our images, run by crun with the namespaces, users and mounts of Docker."""

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NO_CAPABILITIES: dict[str, list[str]] = {
    kind: [] for kind in ("bounding", "effective", "inheritable", "permitted", "ambient")
}
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class StillRunning(Exception):
    """A container was still running after its grace period."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image: `config` from the Dockerfile, `root` its mounted files."""

    config: Mapping[str, Any]
    root: Path
    size_bytes: int

    @property
    def ids(self) -> tuple[int, int]:
        """The ids of the user and the group that it runs as."""
        uid, gid = self.config["User"].split(":")
        return int(uid), int(gid)

    @property
    def health_command(self) -> list[str]:
        return list(self.config["Healthcheck"]["Test"][1:])


def create_named_volume(folder: Path, image: Image) -> Path:
    """Create a volume as Docker does, owned by the image's user, unless it exists."""
    if not folder.exists():
        folder.mkdir(parents=True, mode=0o750)
        os.chown(folder, *image.ids)
    return folder


def runtime_config(
    image: Image, environment: Mapping[str, str], binds: Mapping[str, Path], network: str | None
) -> dict[str, Any]:
    """Return the OCI runtime's config.json.

    `binds` maps a path of the container to what is mounted there; `network` is the network namespace to join
    (None: a new one).
    """
    uid, gid = image.ids
    network_namespace = {"type": "network"} | ({"path": network} if network else {})
    return {
        "ociVersion": "1.0.2",
        "process": {
            "terminal": False,
            "user": {"uid": uid, "gid": gid},
            "args": image.config["Entrypoint"],
            "env": [*image.config["Env"], *(f"{key}={value}" for key, value in environment.items())],
            "cwd": image.config["WorkingDir"],
            "capabilities": _NO_CAPABILITIES,
            "noNewPrivileges": True,
        },
        "root": {"path": str(image.root), "readonly": True},
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc"},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": ["mode=1777"]},
            {"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["mode=1777"]},
            *(
                {"destination": path, "type": "bind", "source": str(at), "options": ["rbind", "rw"]}
                for path, at in binds.items()
            ),
        ],
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts")] + [network_namespace]
        },
    }


@dataclass(slots=True)
class Container:
    """A container; its log is `folder`/log. `stop` and `wait` raise StillRunning at their time limit."""

    name: str
    image: Image
    folder: Path
    config: Mapping[str, Any]
    started_s: float = 0.0
    _process: subprocess.Popen[bytes] | None = field(default=None)

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.json").write_text(json.dumps(self.config))
        with (self.folder / "log").open("wb") as log:
            self.started_s = time.monotonic()
            command = self._crun("run", "--bundle", str(self.folder), self.name)
            self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def run_inside(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        """Run a command in the container's namespaces, as its user."""
        return subprocess.run(
            self._crun("exec", "--user", self.image.config["User"], self.name, *command),
            capture_output=True,
            text=True,
            check=False,
        )

    def wait_until_ready(self, timeout_s: float) -> float:
        """Repeat the image's own health check until it passes. Return the seconds since the start."""
        while self.run_inside(self.image.health_command).returncode:
            took_s = time.monotonic() - self.started_s
            if took_s > timeout_s or self._started().poll() is not None:
                raise TimeoutError(f"{self.name} is not ready after {took_s:.0f} s:\n{self.log()}")
            time.sleep(0.1)
        return time.monotonic() - self.started_s

    def cpu_s(self) -> float:
        """Return the processor time that process 1 has used, seconds."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S

    @property
    def pid(self) -> int:
        state = subprocess.run(self._crun("state", self.name), capture_output=True, check=True)
        return int(json.loads(state.stdout)["pid"])

    def stop(self, grace_s: float) -> tuple[int, float]:
        """Send SIGTERM to process 1. Return its exit code and the seconds until its end."""
        stopped_s = time.monotonic()
        subprocess.run(self._crun("kill", self.name, "TERM"), check=True)
        return self.wait(grace_s), time.monotonic() - stopped_s

    def wait(self, timeout_s: float) -> int:
        try:
            return self._started().wait(timeout_s)
        except subprocess.TimeoutExpired as error:
            raise StillRunning(f"{self.name} still runs after {timeout_s:.0f} s:\n{self.log()}") from error

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        if self._process is not None and self._process.poll() is None:
            subprocess.run(self._crun("delete", "--force", self.name), check=False)
            self._process.wait()

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-4_000:]

    def _started(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, "start() comes first"
        return self._process

    def _crun(self, *arguments: str) -> list[str]:
        return [
            "crun",
            "--root",
            str(self.folder.parent / "crun"),
            "--cgroup-manager=disabled",
            *arguments,
        ]
