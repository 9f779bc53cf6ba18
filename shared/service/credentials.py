"""The shared Azure credential of a process, for settings with a namespace or account URL but no key."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.identity.aio import DefaultAzureCredential

_credential: "DefaultAzureCredential | None" = None


def process_credential() -> "DefaultAzureCredential":
    """Return the DefaultAzureCredential that all clients of the process share.

    The first call creates the credential.
    """
    global _credential  # noqa: PLW0603 - one a process, like its event loop; closed by `close_credential`
    if _credential is None:
        from azure.identity.aio import DefaultAzureCredential  # noqa: PLC0415 - not every service has it

        _credential = DefaultAzureCredential()
    return _credential


async def close_credential() -> None:
    """Close the shared credential, if it was created. Call this before the process ends."""
    global _credential
    if _credential is not None:
        credential, _credential = _credential, None
        await credential.close()
