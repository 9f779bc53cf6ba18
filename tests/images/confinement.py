"""A check from within a container that it is confined: its rights, its tools and where it can write."""

import json
from dataclasses import dataclass

from tests.images.container import Container

# Run in the container by `python3 -c`; prints one JSON object.
_PROBE = """
import errno, importlib.util, json, os, shutil
def error_of(folder):
    try:
        os.close(os.open(folder + "/written", os.O_CREAT | os.O_WRONLY))
    except OSError as error:
        return errno.errorcode[error.errno]
    os.unlink(folder + "/written")
    return ""
status = dict(line.split(":\\t", 1) for line in open("/proc/1/status").read().splitlines())
tools = [name for name in ("cc", "gcc", "make", "ld", "git", "pip", "pip3") if shutil.which(name)]
tools += [name for name in ("pip", "setuptools", "ensurepip") if importlib.util.find_spec(name)]
print(json.dumps({
    "command": open("/proc/1/cmdline").read().split("\\0")[:-1], "uid": int(status["Uid"].split()[0]),
    "capabilities": int(status["CapEff"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": status["NoNewPrivs"] == "1", "tools": tools,
    "writes": {folder: error_of(folder) for folder in ("/", "/etc", "/opt/fleetprice", "/usr/local/bin",
                                                       "/tmp")},
}))
"""


class NotConfined(Exception):
    """The container can do something that it must not."""


@dataclass(frozen=True, slots=True)
class Findings:
    """Command and rights of process 1; `writes` maps a folder to the error of creating a file in it."""

    command: list[str]
    uid: int
    capabilities: int
    no_new_privileges: bool
    tools: list[str]
    writes: dict[str, str]

    def list_faults(self) -> list[str]:
        """List everything that is wrong; EROFS is the error of a read-only file system."""
        wrong = [f"{place}: {error or 'written'}" for place, error in self.writes.items() if place != "/tmp"
                 and error != "EROFS"]  # fmt: skip
        wrong += [f"{tool} is installed" for tool in self.tools]
        if self.writes["/tmp"]:
            wrong.append(f"/tmp: {self.writes['/tmp']}")
        if self.uid == 0 or self.capabilities or not self.no_new_privileges:
            wrong.append(f"uid {self.uid}, capabilities {self.capabilities:x}")
        if not self.command[0].endswith("/python3"):
            wrong.append(f"process 1 is {self.command}")
        return wrong


def check_confinement(container: Container) -> None:
    """Raise NotConfined if the container has rights or tools that it must not have."""
    probed = container.run_inside(["/opt/fleetprice/bin/python3", "-c", _PROBE])
    if probed.returncode:
        raise NotConfined(f"{container.name} cannot be checked: {probed.stderr}")
    if faults := Findings(**json.loads(probed.stdout)).list_faults():
        raise NotConfined(f"{container.name}: {'; '.join(faults)}")
