"""Check what the fleet sent against the lake and the predictions, with code that the services do not use.

`verification` reads everything and compares it; `verdict` is the result. `fleet_record` reads what was sent.
`raw_zone` (with a `chain` of files per partition), `readings`, `dead_letters`, `replays` and `compacted` read
the lake, and `predictions` and `hub` the predictions.
"""
