"""Write the pages generated from the sources: `python -m docs.reference` in the repository's root."""

from pathlib import Path

from docs.reference.log_events import log_events_page
from docs.reference.metrics import metrics_page
from docs.reference.sources import Sources


def write_reference(root: Path, pages: Path) -> None:
    """From the sources below `root` into the folder `pages`."""
    sources = Sources(root)
    (pages / "metrics.md").write_text(metrics_page(sources))
    (pages / "log-events.md").write_text(log_events_page(sources))


if __name__ == "__main__":
    write_reference(Path.cwd(), Path("docs/reference"))
