"""Errors by whose fault they are. Only the code that can act catches them.

- `FleetpriceError`
    - `NeedsAttention`: a person must change something (exit code 2)
        - `SettingsError`: a setting is missing, misspelt or contradicts another
            - `InvalidOverride`: a value given over the environment is out of bounds
        - `PortInUse`: a listener could not be opened
        - `MissingExtra`: a package of an optional extra is not installed
        - `Refused`: hub or storage refuses our credentials, or lacks what we named; may pass by itself
            - `Missing`: there is no hub, consumer group or container of that name
        - `HubRecreated`: the hub is not the one that was read before
    - `BadRecord`: a record or body cannot be decoded: it becomes a dead letter
    - `SourceUnavailable`: the hub or the store of checkpoints does not answer: read again later
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


class Refused(SettingsError):
    """Hub or storage refuses our credentials, or there is no hub, group or container of that name.

    Of what worked before it may pass by itself: a role that is being granted, a key that is put back.
    """


class Missing(Refused):
    """There is no hub, consumer group or container of that name."""


class HubRecreated(NeedsAttention):
    """The hub's created_at differs from the one of the hub that was read before."""


class BadRecord(FleetpriceError):
    """A record or body cannot be decoded; the message is the reason in its dead letter."""


class SourceUnavailable(FleetpriceError):
    """The hub, or the store of its checkpoints, did not answer."""


class SinkUnavailable(FleetpriceError):
    """The lake or the output hub did not answer within the bounded retries."""


class ModelUnusable(FleetpriceError):
    """The model's files are broken or contradict their manifest."""


class GapUnexplained(FleetpriceError):
    """The link skipped events; it must be closed and reopened at the expected one."""
