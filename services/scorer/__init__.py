"""A price for every reading, from hub to hub, and over HTTP: the same scoring code for both."""
