"""The mapping of the Azure SDKs' errors to this project's errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import AzureError, ClientAuthenticationError, ResourceNotFoundError
from azure.eventhub.exceptions import AuthenticationError, EventHubError, OwnershipLostError

from shared.service.errors import FleetpriceError, Missing, Refused, SourceUnavailable

SDK_ERRORS = (EventHubError, OwnershipLostError, AzureError)
FOREIGN = (*SDK_ERRORS, OSError)
# The management link and the others name the same condition differently.
_NOT_FOUND = ("amqp:not-found", "ErrorCondition.NotFound")
# Only an answer of the hub has a status. The SDK also raises AuthenticationError, without one, if a link was
# so quiet that its token ran out, or if the hub did not answer in time: a new link heals both [azure-eventhub
# 5.15.1, `CBSAuthenticator.handle_token`, `check_timeout_exception`]. Its exception keeps the text alone.
_REFUSED_TOKEN = re.compile(r"Status code: (401|403|404)\b")


def map_error(error: Exception, hub: str, group: str) -> Exception:
    """Return Refused or SourceUnavailable for an error of an Azure SDK or the network.

    Any other error, and one that is a FleetpriceError already, is returned unchanged. Every connection begins
    with a fresh token, so an error of authentication that a new connection heals is a SourceUnavailable.
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
        return _token_refusal(error, hub, group)
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
        return _missing(hub, group)
    return None


def _token_refusal(error: AuthenticationError, hub: str, group: str) -> Refused | None:
    """Return the hub's refusal of a fresh token; None if there was no answer, or the token ran out."""
    status = _REFUSED_TOKEN.search(str(error))
    if status is None:
        return None
    if status[1] == "404":
        return _missing(hub, group)
    reason = str(error).partition("\n")[0].rstrip(".")
    return Refused(f"FLEETPRICE_EVENT_HUBS: hub {hub} refused our credentials: {reason}")


def _missing(hub: str, group: str) -> Missing:
    return Missing(f"there is no hub {hub}, or it has no consumer group {group}: create it")
