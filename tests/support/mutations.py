"""Copies of the source with a rule broken on purpose, to show that a test can fail."""

import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]


def mutate_source(tmp_path, *mutations):
    """Copy the source and apply each (path, old, new) to it; `old` must be in the file exactly once."""
    source = tmp_path / "source"
    for folder in ("services", "shared", "models"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path, old, new in mutations:
        text = (source / path).read_text()
        assert text.count(old) == 1, f"{path} no longer reads as this mutation expects"
        (source / path).write_text(text.replace(old, new))
    return source
