"""Decoders of regular event bodies directly into columns; README.md describes the three stages."""
