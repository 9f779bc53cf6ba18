"""The source with its rules broken on purpose: what a test that cannot fail would let through."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def mutated(tmp_path, *mutations):
    """A copy of the source in which each (path, old, new) is applied; `old` must stand there exactly once."""
    source = tmp_path / "source"
    for folder in ("services", "shared", "models"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path, old, new in mutations:
        text = (source / path).read_text()
        assert text.count(old) == 1, f"{path} no longer reads as this mutation expects"
        (source / path).write_text(text.replace(old, new))
    return source
