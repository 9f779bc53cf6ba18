"""`python -m services.scorer.power_platform`: writes the files under `deploy/power-platform`."""

import json
import sys
from pathlib import Path
from typing import Any

from services.scorer.power_platform.definition import api_definition
from services.scorer.power_platform.flow import flow_package
from services.scorer.power_platform.properties import api_properties

FOLDER = Path("deploy/power-platform")


def files() -> dict[str, str]:
    """Return the text of every generated file, by its path below the folder."""
    documents: dict[str, dict[str, Any]] = {
        "apiDefinition.swagger.json": api_definition(),
        "apiProperties.json": api_properties(),
        **{f"flow/{path}": document for path, document in flow_package().items()},
    }
    return {
        path: json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        for path, document in documents.items()
    }


def main() -> None:
    for path, text in files().items():
        target = FOLDER / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        sys.stdout.write(f"{target}\n")


if __name__ == "__main__":
    main()
