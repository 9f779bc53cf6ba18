"""Errors say whose fault it is; only the one who can act catches them.

- `FleetpriceError`
    - `NeedsAttention`: a person must change something (exit code 2)
        - `SettingsError`: a setting is missing, misspelt or contradicts another
            - `InvalidOverride`: a value given over the environment is out of bounds
        - `PortInUse`: a listener could not be opened
        - `MissingExtra`: a package of an optional extra is not installed
        - `HubRecreated`: the hub is not the one the lake was filled from
    - `BadRecord`: a record or body that cannot be decoded: dead letter, and on
    - `SinkUnavailable`: the lake or the output hub does not answer: retried within bounds, then stop
    - `ModelUnusable`: keep the old model, or refuse to start
    - `GapUnexplained`: the hub skipped events that it still retains: reopen the link
"""


class FleetpriceError(Exception):
    """Everything this project raises on purpose."""


class NeedsAttention(FleetpriceError):
    """A person must change something; the message is one line and says what. Exit code 2."""


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
    """A record or body that cannot be decoded; the reason goes into its dead letter."""


class SinkUnavailable(FleetpriceError):
    """The lake or the output hub did not answer within the bounded retries."""


class ModelUnusable(FleetpriceError):
    """The model's files are broken or do not keep their manifest's promises."""


class GapUnexplained(FleetpriceError):
    """The link skipped events; it must be closed and reopened at the expected one."""
