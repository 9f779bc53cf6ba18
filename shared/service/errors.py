"""The project's errors, grouped by who must act. Only code that can act on an error catches it.

- `FleetpriceError`
    - `NeedsAttention`: a person must change something (exit code 2)
        - `SettingsError`: a setting is missing, misspelt or contradicts another
            - `InvalidOverride`: a value that overrides the environment is out of bounds
        - `PortInUse`: a listener could not be opened
        - `MissingExtra`: a package of an optional extra is not installed
        - `Refused`: hub or storage refuses the credentials, or lacks what the settings name; may pass
            - `Missing`: the named hub, consumer group or container does not exist
        - `HubRecreated`: the hub is not the same hub that was read before
        - `DamagedFile`: a file of the lake is not as it was written
        - `ContractChanged`: a stream's contract and its files in the lake cannot be read together
    - `BadRecord`: a record or body cannot be decoded: it becomes a dead letter
    - `SourceUnavailable`: the hub or the store of checkpoints does not answer: read again later
    - `SinkUnavailable`: the lake or the output hub does not answer: bounded retries, then the service stops
    - `ModelUnusable`: a model's files are broken: keep the old model, or refuse to start
    - `GapUnexplained`: the hub skipped events that it still retains: reopen the link
"""


class FleetpriceError(Exception):
    """Base class of all errors that this project raises on purpose."""


class NeedsAttention(FleetpriceError):
    """A person must change something; the message says what, in one line. The exit code is 2."""


class SettingsError(NeedsAttention):
    """A setting is missing, misspelt or contradicts another."""


class InvalidOverride(SettingsError):
    """A value that overrides the environment, such as a command-line flag, is out of bounds."""

    def __init__(self, variable: str, field: str, reason: str) -> None:
        super().__init__(f"{variable}: {reason}")
        self.field = field
        self.reason = reason


class PortInUse(NeedsAttention):
    """A listener could not be opened."""


class MissingExtra(NeedsAttention):
    """A package of an optional extra is not installed."""


class Refused(SettingsError):
    """Hub or storage refuses this process's credentials, or the named hub, group or container is missing.

    If access worked before, the refusal may pass without a change of settings: for example while a role is
    being granted, or once a removed key is restored.
    """


class Missing(Refused):
    """The named hub, consumer group or container does not exist."""


class HubRecreated(NeedsAttention):
    """The hub's created_at differs from that of the hub that was read before."""


class DamagedFile(NeedsAttention):
    """A file of the lake cannot be read, or its bytes are not the ones that were written."""


class ContractChanged(NeedsAttention):
    """A stream's contract has a column of another type, or of another case, than its files in the lake."""


class BadRecord(FleetpriceError):
    """A record or body cannot be decoded; the message becomes the reason in its dead letter."""


class SourceUnavailable(FleetpriceError):
    """The hub or the checkpoint store did not answer."""


class SinkUnavailable(FleetpriceError):
    """The lake or the output hub did not answer within the bounded retries."""


class ModelUnusable(FleetpriceError):
    """The model's files are broken or contradict their manifest."""


class GapUnexplained(FleetpriceError):
    """The link skipped events; it must be closed and reopened at the expected event."""
