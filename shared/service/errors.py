"""Errors by whose fault they are. Only the code that can act catches them.

- `FleetpriceError`
    - `NeedsAttention`: a person must change something (exit code 2)
        - `SettingsError`: a setting is missing, misspelt or contradicts another
            - `InvalidOverride`: a value given over the environment is out of bounds
        - `PortInUse`: a listener could not be opened
        - `MissingExtra`: a package of an optional extra is not installed
        - `HubRecreated`: the hub is not the one the lake was filled from
    - `BadRecord`: a record or body cannot be decoded: it becomes a dead letter
    - `SinkUnavailable`: the lake or the output hub does not answer: bounded retries, then the service stops
    - `ModelUnusable`: a model's files are broken: keep the old model, or refuse to start
    - `GapUnexplained`: the hub skipped events that it still retains: reopen the link
"""


class FleetpriceError(Exception):
    """The base of all errors that this project raises on purpose."""


class NeedsAttention(FleetpriceError):
    """A person must change something; the message names it in one line. Exit code 2."""


class SettingsError(NeedsAttention):
    """A setting is missing, misspelt or contradicts another."""


class InvalidOverride(SettingsError):
    """A value given over the environment is out of bounds: a flag's, on the command line."""

    def __init__(self, variable: str, field: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.field = field
        self.reason = reason


class PortInUse(NeedsAttention):
    """A listener could not be opened."""


class MissingExtra(NeedsAttention):
    """A package of an optional extra is not installed."""


class HubRecreated(NeedsAttention):
    """The hub's created_at differs from the one that the lake was filled from."""


class BadRecord(FleetpriceError):
    """A record or body cannot be decoded; the message is the reason in its dead letter."""


class SinkUnavailable(FleetpriceError):
    """The lake or the output hub did not answer within the bounded retries."""


class ModelUnusable(FleetpriceError):
    """The model's files are broken or contradict their manifest."""


class GapUnexplained(FleetpriceError):
    """The link skipped events; it must be closed and reopened at the expected one."""
