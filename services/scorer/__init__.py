"""The scorer: prices each reading from hub to hub, and vehicles over HTTP, with the same code."""
