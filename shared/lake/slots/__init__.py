"""The chains of files in the raw zone: how files are named, read and followed along a chain."""
