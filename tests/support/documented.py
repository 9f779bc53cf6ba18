"""The programs in the pages of docs/, as a reader copies them."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page, heading, language):
    """Return the programs in `language` under a heading of a page, in order."""
    text = (DOCS / page).read_text()
    section = text.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)
