"""Runs the whole stack on one machine.

`programs` and `ports` define the processes. `stack` runs them from the start until the result is verified.
`stack_monitor` samples them with `scrape`, `checkpoints`, `sustained_lag` and `rates`; `live_prices` reads
the predictions. `views` shows the `status`.
"""
