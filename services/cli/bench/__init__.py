"""Figures of whole services, each beside the floor measured in the same run; `parts` measures parts of them.

`embedded_azure` is the emulator that `hub_load` fills, `measured_process` what is measured beside it, and
`figure` the comparison. `http`, `ingest` and `scorer` hold the laps of each service, and its floors.
"""
