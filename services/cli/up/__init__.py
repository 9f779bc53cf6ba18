"""The whole stack on one machine.

`programs` and `ports` define what runs, `stack` runs it from its start to its verified end, `stack_monitor`
samples it (`scrape`, `checkpoints`, `sustained_lag`, `rates`, `live_prices`), and `views` show its `status`.
"""
