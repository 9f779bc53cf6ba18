"""The lake's account as delta-rs wants it named (pure)."""

from shared.service.errors import SettingsError

STORAGE_SCOPE = "https://storage.azure.com/.default"

# Ten tries over three minutes by default: whoever waits that long had better start again.
_PATIENCE = {"max_retries": "5", "retry_timeout": "30s", "timeout": "30s", "connect_timeout": "5s"}


def storage_options(storage: str, token: str | None) -> dict[str, str]:
    """Options for an account named by a connection string, or by its URL with a bearer token.

    Raises SettingsError where the connection string has no key.
    """
    if "AccountName=" not in storage:
        account = storage.partition("://")[2].partition(".")[0]
        return {"account_name": account, "bearer_token": token or "", **_PATIENCE}
    parts = dict(part.split("=", 1) for part in storage.split(";") if "=" in part)
    options = {"account_name": parts["AccountName"], **_PATIENCE}
    if "AccountKey" in parts:
        options["account_key"] = parts["AccountKey"]
    elif "SharedAccessSignature" in parts:
        options["sas_token"] = parts["SharedAccessSignature"].removeprefix("?")
    else:
        raise SettingsError("FLEETPRICE_STORAGE has neither AccountKey nor SharedAccessSignature")
    if endpoint := parts.get("BlobEndpoint"):
        options |= {"endpoint": endpoint.rstrip("/"), "allow_http": str(endpoint.startswith("http:")).lower()}
    return options
