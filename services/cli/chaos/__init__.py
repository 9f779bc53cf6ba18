"""Chaos runs: the whole stack under faults at seeded moments.

`schedule` draws the faults of a seed, `programs` and `stack` run the processes that the faults strike,
`fault_injector` injects the faults, and `drain` waits until the readers have caught up. `run` takes one run
from its start to its verdict; `campaign` takes many runs with consecutive seeds. `fork_client` starts
services through `fork_server`, a process that has already imported them.
"""
