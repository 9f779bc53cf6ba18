"""`python -m tests.images`: run the images of deploy/images/build.sh by docker-compose.yml, and check them.

Every service of the profile `emulator` starts from its image under crun, once the services that it needs are
healthy by their own health checks: process 1 of a process namespace, read-only root, no capabilities, uid
65532, environment and keys of the compose file. All share one network namespace, in which the services' names
are loopback; this replaces Compose's network. A fleet sends for some seconds. Then each service gets SIGTERM,
and the readings sent are compared with those landed and predicted. Before that, each image is run with
settings that it must refuse.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from dotenv import dotenv_values

from shared.service.run import EXIT_DONE, EXIT_FOUND_WRONG
from tests.images.confinement import check_confinement
from tests.images.container import Container, create_named_volume, runtime_config
from tests.images.refusals import check_refusals
from tests.images.store import Store
from tests.support.compose import Service, read_services, sort_by_needs

_ROOT = Path(__file__).parents[2]
_READY_TIMEOUT_S = 120.0
_TRAINING_TIMEOUT_S = 600.0
_SETTLED_S = 3.0
_POSITION = """
import re, urllib.request
page = urllib.request.urlopen("http://127.0.0.1:8081/metrics").read().decode()
found = re.findall(r"^fleetprice_streams_next_sequence_number{.*} (\\S+)$", page, re.M)
print(sum(map(float, found)))
"""


@dataclass(slots=True)
class Trial:
    """One run of the stack, below `folder`."""

    store: Store
    folder: Path
    stack: ExitStack
    containers: dict[str, Container] = field(default_factory=dict)

    def start(self, service: Service) -> dict[str, object]:
        """Start a service, wait until it is ready and check its confinement. Return the measurements."""
        container = self._create_container(service, {})
        container.start()
        ready_s = container.wait_until_ready(_READY_TIMEOUT_S)
        cpu_s = container.cpu_s()
        check_confinement(container)
        size_mb = round(container.image.size_bytes / 1e6)
        return {"service": service.name, "size_mb": size_mb, "ready_s": round(ready_s, 1), "cpu_s": cpu_s}

    def run_job(self, service: Service, listings: Path) -> dict[str, object]:
        """Run the trainer to its end. Raises RuntimeError if it fails."""
        container = self._create_container(service, {"/listings": listings})
        container.start()
        if code := container.wait(_TRAINING_TIMEOUT_S):
            raise RuntimeError(f"{service.name} ended with {code}:\n{container.log()}")
        size_mb = round(container.image.size_bytes / 1e6)
        took_s = round(time.monotonic() - container.started_s, 1)
        last = container.log().strip().splitlines()[-1]
        return {"service": service.name, "size_mb": size_mb, "took_s": took_s, "last_line": last}

    def stop(self, service: Service) -> dict[str, object]:
        """Send SIGTERM and wait for the end. Raises RuntimeError if the exit code is not 0."""
        code, took_s = self.containers[service.name].stop(service.stop_grace_s)
        if code:
            log = self.containers[service.name].log()
            raise RuntimeError(f"{service.name} ended with {code} after SIGTERM:\n{log}")
        return {"service": service.name, "sigterm_exit_code": code, "sigterm_s": round(took_s, 1)}

    def settle(self) -> None:
        """Wait until ingest has read all events: its position has not changed for a while."""
        before, since_s = "", time.monotonic()
        while time.monotonic() - since_s < _SETTLED_S:
            read = self.containers["ingest"].run_inside(["/opt/fleetprice/bin/python3", "-c", _POSITION])
            if read.returncode:
                raise RuntimeError(f"the position of ingest cannot be read: {read.stderr}")
            if read.stdout != before:
                before, since_s = read.stdout, time.monotonic()
            time.sleep(0.5)

    def verify(self) -> dict[str, object]:
        """Compare what the fleet sent with what landed and was predicted, from the files alone."""
        data = self.folder / "world"
        data.mkdir()
        for volume, name in (
            ("emulator-data", "event_hubs"),
            ("emulator-data", "storage"),
            ("simulator-data", "simulator"),
        ):
            (data / name).symlink_to(self.folder / volume / name)
        command = [sys.executable, "-m", "services.cli.verify"]
        variables = {"FLEETPRICE_VERIFY_DATA": str(data), "FLEETPRICE_VERIFY_AS_JSON": "true"}
        done = subprocess.run(
            command, env={**os.environ, **variables}, stdout=subprocess.PIPE, cwd=_ROOT, check=False
        )
        if done.returncode not in (EXIT_DONE, EXIT_FOUND_WRONG):
            raise RuntimeError(f"there is no verdict: {' '.join(command[1:])} ended with {done.returncode}")
        verdict: dict[str, object] = json.loads(done.stdout)
        return verdict

    def _create_container(self, service: Service, binds: Mapping[str, Path]) -> Container:
        name = service.name
        image = self.stack.enter_context(self.store.mount(name))
        volumes = {at: create_named_volume(self.folder / one, image) for at, one in service.volumes.items()}
        mounts = {**volumes, **binds, "/etc/hosts": self.folder / "hosts"}
        first = next(iter(self.containers.values()), None)
        network = f"/proc/{first.pid}/ns/net" if first else None
        config = runtime_config(image, service.environment, mounts, network)
        container = Container(name, image, self.folder / name, config)
        self.containers[name] = container
        self.stack.callback(container.kill)
        return container


def main() -> int:
    options = _parse_options()
    folder = options.folder / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    keys = folder / "env"
    subprocess.run([sys.executable, str(_ROOT / "deploy/compose/keys.py"), str(keys)], check=True, stdout=2)
    values = {key: value or "" for key, value in dotenv_values(keys).items()}
    document = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())
    services = read_services(document, "emulator", values)
    names = " ".join(services)
    (folder / "hosts").write_text(f"127.0.0.1 localhost {names}\n")
    trainer = read_services(document, "jobs", values)["trainer"]
    store = Store(options.folder)
    for refusal in check_refusals(store, folder, {**services, "trainer": trainer}):
        _print_line(refusal)
    with ExitStack() as stack:
        trial = Trial(store, folder, stack)
        for service in sort_by_needs(services):
            _print_line(trial.start(service))
        if options.listings:
            _print_line(trial.run_job(trainer, options.listings))
        time.sleep(options.seconds)
        for service in reversed(list(sort_by_needs(services))):
            if service.name in ("scorer", "ingest"):
                trial.settle()
            _print_line(trial.stop(service))
        verdict = trial.verify()
    _print_line(verdict)
    wrong = ("missing", "doubled", "out_of_order", "predictions_missing", "predictions_doubled")
    is_clean = verdict["sent"] and not any(verdict[key] for key in wrong)
    return EXIT_DONE if is_clean else EXIT_FOUND_WRONG


def _print_line(result: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(result) + "\n")
    sys.stdout.flush()


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.images")
    parser.add_argument("--folder", type=Path, default=Path("build/images"), help="IMAGES_DIR of build.sh")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="Seconds that the fleet sends for once all services run"
    )
    parser.add_argument(
        "--listings",
        type=Path,
        help="Asking prices (Parquet) to train on; without it the trainer does not run",
    )
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    return options


if __name__ == "__main__":
    sys.exit(main())
