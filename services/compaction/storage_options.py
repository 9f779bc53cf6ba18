"""Options of the lake's account for delta-rs. Pure."""

from shared.service.errors import SettingsError

STORAGE_SCOPE = "https://storage.azure.com/.default"

# The default is ten retries over three minutes; a new pass is better than waiting that long.
_RETRIES = {"max_retries": "5", "retry_timeout": "30s", "timeout": "30s", "connect_timeout": "5s"}


def storage_options(storage: str, token: str | None) -> dict[str, str]:
    """Return the options of an account, from its connection string or from its URL and a bearer token.

    Raises SettingsError if the connection string has no key.
    """
    if "AccountName=" not in storage:
        account = storage.partition("://")[2].partition(".")[0]
        return {"account_name": account, "bearer_token": token or "", **_RETRIES}
    parts = dict(part.split("=", 1) for part in storage.split(";") if "=" in part)
    options = {"account_name": parts["AccountName"], **_RETRIES}
    if "AccountKey" in parts:
        options["account_key"] = parts["AccountKey"]
    elif "SharedAccessSignature" in parts:
        options["sas_token"] = parts["SharedAccessSignature"].removeprefix("?")
    else:
        raise SettingsError("FLEETPRICE_STORAGE has neither AccountKey nor SharedAccessSignature")
    if endpoint := parts.get("BlobEndpoint"):
        options |= {"endpoint": endpoint.rstrip("/"), "allow_http": str(endpoint.startswith("http:")).lower()}
    return options
