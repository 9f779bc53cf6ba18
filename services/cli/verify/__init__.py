"""The check of what the fleet sent against the lake and the predictions, independent of what it checks.

`verification` compares `fleet_record` with `raw_zone` (a `chain` of files a partition), `readings`,
`dead_letters`, `replays` and `compacted`, and with `predictions` from the `hub`; `verdict` is the result.
"""
