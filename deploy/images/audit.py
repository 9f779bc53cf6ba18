#!/usr/bin/env python3
"""`make audit`: known vulnerabilities of the packages in the images, found by pip-audit.

pip-audit skips a package that it cannot look up, and ends with "No known vulnerabilities found" and exit code
0 even if it skipped all of them. A gate must not. Exit codes here: 0 all were looked up and none is
vulnerable, 1 some are vulnerable, 2 not all could be looked up.
"""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

_COMMAND = ("--require-hashes", "--disable-pip", "--progress-spinner=off", "--timeout=15", "--format=json")


def judge(dependencies: Iterable[Mapping[str, Any]]) -> tuple[int, list[str]]:
    """Return the exit code and the lines to print for the packages that pip-audit reports."""
    found = {one["name"]: one for one in dependencies}
    skipped = sorted(name for name, one in found.items() if "skip_reason" in one)
    lines = [
        f"{name} {one['version']}: {vulnerability['id']}, fixed in "
        f"{', '.join(vulnerability['fix_versions']) or 'no release yet'}"
        for name, one in sorted(found.items())
        for vulnerability in one.get("vulns", ())
    ]
    code = 1 if lines else 0
    if skipped or not found:
        lines.append(f"NOT AUDITED: {len(skipped)} of {len(found)} packages could not be looked up")
        code = code or 2
    return code, [*lines, f"{len(found) - len(skipped)} packages looked up"]


def main(pip_audit: str, locks: list[str]) -> int:
    command = [pip_audit, *_COMMAND, *(f"--requirement={lock}" for lock in locks)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except ValueError:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
        sys.stderr.write(f"NOT AUDITED: pip-audit could not reach its data: {last[0]}\n")
        return 2
    code, lines = judge(dependencies)
    sys.stdout.write("\n".join(lines) + "\n")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
