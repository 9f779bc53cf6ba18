#!/usr/bin/env python3
"""`make audit`: known vulnerabilities of what the images contain, as pip-audit finds them.

pip-audit passes over a package that it could not look up, and ends with "No known vulnerabilities found" and
exit code 0 where that was every one. A gate must not: exit codes are 0 all were looked up and none is
vulnerable, 1 some are, 2 not all could be looked up.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

_COMMAND = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--timeout=15", "--format=json")


def verdict(dependencies: Iterable[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """The exit code and what to say, of what pip-audit tells of each package."""
    found = {one["name"]: one for one in dependencies}
    skipped = sorted(name for name, one in found.items() if "skip_reason" in one)
    said = [
        f"{name} {one['version']}: {vulnerability['id']}, mended in "
        f"{', '.join(vulnerability['fix_versions']) or 'no release yet'}"
        for name, one in sorted(found.items())
        for vulnerability in one.get("vulns", ())
    ]
    code = 1 if said else 0
    if skipped or not found:
        said.append(f"NOT AUDITED: {len(skipped)} of {len(found)} packages could not be looked up")
        code = code or 2
    return code, [*said, f"{len(found) - len(skipped)} packages looked up"]


def main(pip_audit: str, locks: list[str]) -> int:
    named = [f"--requirement={lock}" for lock in locks]
    command = [pip_audit, *_COMMAND, *named]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        dependencies = json.loads(ran.stdout)["dependencies"]
    except ValueError:
        last = ran.stderr.strip().splitlines()[-1:] or [f"exit code {ran.returncode}"]
        sys.stderr.write(f"NOT AUDITED: pip-audit could not reach its data: {last[0]}\n")
        return 2
    code, said = verdict(dependencies)
    sys.stdout.write("\n".join(said) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
