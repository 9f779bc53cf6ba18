"""`python -m tests.images`: run what deploy/images/build.sh built, as docker-compose.yml says, and judge it.

Every service of the profile `emulator` starts from its image under crun, in order and once what it needs is
healthy by its own health check: process 1 of a process namespace, read-only root, no capabilities, uid 65532,
environment and keys of the compose file. All of them share one network namespace; the names of services are
loopback there, which stands in for Compose's network. A fleet sends for some seconds; then each is told to
end by SIGTERM, and what was sent is held against what landed and was predicted. Before that, each image is
tried with settings that it must refuse.
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
from tests.images.confinement import refuse_unconfined
from tests.images.container import Container, bundle, named_volume
from tests.images.refusals import refuse_all
from tests.images.store import Store
from tests.support.compose import Service, in_order, services_of

_ROOT = Path(__file__).parents[2]
_READY_TIMEOUT_S = 120.0
_TRAINED_WITHIN_S = 600.0
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
        """Start one and judge it; what was measured of it."""
        container = self._container(service, {})
        container.start()
        ready_s = container.ready_after_s(_READY_TIMEOUT_S)
        cpu_s = container.cpu_s()
        refuse_unconfined(container)
        size_mb = round(container.image.size_bytes / 1e6)
        return {"service": service.name, "size_mb": size_mb, "ready_s": round(ready_s, 1), "cpu_s": cpu_s}

    def run_job(self, service: Service, listings: Path) -> dict[str, object]:
        """The trainer to its end."""
        container = self._container(service, {"/listings": listings})
        container.start()
        if code := container.wait(_TRAINED_WITHIN_S):
            raise RuntimeError(f"{service.name} ended with {code}:\n{container.log()}")
        size_mb = round(container.image.size_bytes / 1e6)
        took_s = round(time.monotonic() - container.started_s, 1)
        last = container.log().strip().splitlines()[-1]
        return {"service": service.name, "size_mb": size_mb, "took_s": took_s, "said": last}

    def stop(self, service: Service) -> dict[str, object]:
        code, took_s = self.containers[service.name].stop(service.stop_grace_s)
        if code:
            log = self.containers[service.name].log()
            raise RuntimeError(f"{service.name} ended with {code} after SIGTERM:\n{log}")
        return {"service": service.name, "sigterm_exit_code": code, "sigterm_s": round(took_s, 1)}

    def settle(self) -> None:
        """Wait until ingest has taken in all there is."""
        before, since_s = "", time.monotonic()
        while time.monotonic() - since_s < _SETTLED_S:
            asked = self.containers["ingest"].run_inside(["/opt/fleetprice/bin/python3", "-c", _POSITION])
            if asked.returncode:
                raise RuntimeError(f"ingest does not tell where it is: {asked.stderr}")
            if asked.stdout != before:
                before, since_s = asked.stdout, time.monotonic()
            time.sleep(0.5)

    def verdict(self) -> dict[str, object]:
        """What the fleet sent against what landed and was predicted, from the files alone."""
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
        told = subprocess.run(
            command, env={**os.environ, **variables}, stdout=subprocess.PIPE, cwd=_ROOT, check=False
        )
        if told.returncode not in (EXIT_DONE, EXIT_FOUND_WRONG):
            raise RuntimeError(f"there is no verdict: {' '.join(command[1:])} ended with {told.returncode}")
        verdict: dict[str, object] = json.loads(told.stdout)
        return verdict

    def _container(self, service: Service, binds: Mapping[str, Path]) -> Container:
        name = service.name
        image = self.stack.enter_context(self.store.mounted(name))
        volumes = {at: named_volume(self.folder / one, image) for at, one in service.volumes.items()}
        at = {**volumes, **binds, "/etc/hosts": self.folder / "hosts"}
        first = next(iter(self.containers.values()), None)
        network = f"/proc/{first.pid}/ns/net" if first else None
        config = bundle(image, service.environment, at, network)
        container = Container(name, image, self.folder / name, config)
        self.containers[name] = container
        self.stack.callback(container.kill)
        return container


def main() -> int:
    options = _options()
    folder = options.folder / "trial"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    keys = folder / "env"
    subprocess.run([sys.executable, str(_ROOT / "deploy/compose/keys.py"), str(keys)], check=True, stdout=2)
    values = {key: value or "" for key, value in dotenv_values(keys).items()}
    document = yaml.safe_load((_ROOT / "docker-compose.yml").read_text())
    services = services_of(document, "emulator", values)
    names = " ".join(services)
    (folder / "hosts").write_text(f"127.0.0.1 localhost {names}\n")
    trainer = services_of(document, "jobs", values)["trainer"]
    store = Store(options.folder)
    for refused in refuse_all(store, folder, {**services, "trainer": trainer}):
        _tell(refused)
    with ExitStack() as stack:
        trial = Trial(store, folder, stack)
        for service in in_order(services):
            _tell(trial.start(service))
        if options.listings:
            _tell(trial.run_job(trainer, options.listings))
        time.sleep(options.seconds)
        for service in reversed(list(in_order(services))):
            if service.name in ("scorer", "ingest"):
                trial.settle()
            _tell(trial.stop(service))
        verdict = trial.verdict()
    _tell(verdict)
    wrong = ("missing", "doubled", "out_of_order", "predictions_missing", "predictions_doubled")
    is_clean = verdict["sent"] and not any(verdict[key] for key in wrong)
    return EXIT_DONE if is_clean else EXIT_FOUND_WRONG


def _tell(found: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.images")
    parser.add_argument("--folder", type=Path, default=Path("build/images"), help="IMAGES_DIR of build.sh")
    parser.add_argument("--seconds", type=float, default=10.0, help="How long the fleet sends once all run")
    parser.add_argument("--listings", type=Path, help="Asking prices (Parquet) for the trainer to learn from")
    options = parser.parse_args()
    options.folder = options.folder.absolute()
    return options


if __name__ == "__main__":
    sys.exit(main())
