"""Regular event bodies straight to columns; README.md describes the three stages."""
