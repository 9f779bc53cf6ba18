"""Data roles of identities, by their names in Azure."""

from enum import StrEnum


class Role(StrEnum):
    """A built-in data role."""

    EVENT_HUBS_OWNER = "Azure Event Hubs Data Owner"
    EVENT_HUBS_SENDER = "Azure Event Hubs Data Sender"
    EVENT_HUBS_RECEIVER = "Azure Event Hubs Data Receiver"
    STORAGE_OWNER = "Storage Blob Data Owner"
    STORAGE_CONTRIBUTOR = "Storage Blob Data Contributor"
    STORAGE_READER = "Storage Blob Data Reader"
    STORAGE_DELEGATOR = "Storage Blob Delegator"


# Roles of an identity without an assignment.
DEFAULT_ROLES = (Role.EVENT_HUBS_OWNER, Role.STORAGE_OWNER)
