"""`python -m shared.contract`, run in the repository's root: write docs/contract.md and docs/schemas."""

from pathlib import Path

from shared.contract.columns import BY_STREAM
from shared.contract.schema_docs import contract_page, json_schema


def write_reference(root: Path) -> None:
    """Write the page and the schemas below `root`/docs."""
    docs = root / "docs"
    (docs / "schemas").mkdir(parents=True, exist_ok=True)
    (docs / "contract.md").write_text(contract_page())
    for contract in BY_STREAM.values():
        (docs / "schemas" / f"{contract.name}-{contract.version}.json").write_bytes(json_schema(contract))


if __name__ == "__main__":
    write_reference(Path.cwd())
