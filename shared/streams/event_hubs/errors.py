"""The mapping of the Azure SDKs' errors to this project's errors."""

from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError
from azure.eventhub.exceptions import AuthenticationError, EventHubError, OwnershipLostError

from shared.service.errors import FleetpriceError, Missing, Refused, SourceUnavailable

SDK_ERRORS = (EventHubError, OwnershipLostError, AzureError)
FOREIGN = (*SDK_ERRORS, OSError)
# The management link and the others name the same condition differently.
_NOT_FOUND = ("amqp:not-found", "ErrorCondition.NotFound")


def map_error(error: Exception, hub: str, group: str) -> Exception:
    """Return Refused or SourceUnavailable for an error of an Azure SDK or the network.

    Any other error, and one that is a FleetpriceError already, is returned unchanged.
    """
    if isinstance(error, FleetpriceError) or not isinstance(error, FOREIGN):
        return error
    return _refusal(error, hub, group) or SourceUnavailable(str(error))


@contextmanager
def mapped_errors(hub: str, group: str) -> Iterator[None]:
    """Convert errors within the block. Raises Refused or SourceUnavailable if an SDK or the network fails."""
    try:
        yield
    except FOREIGN as error:
        raise map_error(error, hub, group) from error


def _refusal(error: Exception, hub: str, group: str) -> Refused | None:
    reason = str(error).partition("\n")[0].rstrip(".")
    if isinstance(error, AuthenticationError):
        return Refused(f"FLEETPRICE_EVENT_HUBS: hub {hub} refused our credentials: {reason}")
    if isinstance(error, ClientAuthenticationError):
        return Refused(
            "FLEETPRICE_CHECKPOINTS or FLEETPRICE_STORAGE: the account of the checkpoints refused our "
            f"credentials: {reason}"
        )
    if isinstance(error, ResourceNotFoundError):
        return Missing(
            "FLEETPRICE_CHECKPOINT_CONTAINER: there is no such container in the account of the "
            f"checkpoints, create it: {reason}"
        )
    if any(words in str(error) for words in _NOT_FOUND):
        return Missing(f"there is no hub {hub}, or it has no consumer group {group}: create it")
    return None
