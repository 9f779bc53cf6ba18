"""Benchmarks of whole services, each beside a floor measured in the same run.

`micro` measures parts of services. `embedded_azure` runs the emulator, `hub_load` fills its hubs,
`measured_process` runs the process that is measured, and `figure` compares it with the floor. `http`,
`ingest` and `scorer` hold the laps of each service and their floors.
"""
