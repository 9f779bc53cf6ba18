"""The stack under faults.

`schedule` draws the faults of a seed, `programs` and `stack` run what they strike, `fault_injector` injects
them, `drain` waits for the readers, `run` is one run to its verdict and `campaign` many of them.
`fork_client` starts processes through `fork_server`, which has imported them already.
"""
