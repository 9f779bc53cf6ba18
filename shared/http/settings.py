"""Settings of an HTTP listener and its application.

Each service builds them from its service-specific settings.
"""

from dataclasses import dataclass, field
from pathlib import Path

from shared.http.auth.tokens import TokenRequirements
from shared.http.limits import ConnectionLimits, RateLimit


@dataclass(frozen=True, slots=True)
class KeySources:
    """The sources of the accepted API keys: keys given directly and a file of hashed keys.

    If neither is set, the key `development` is accepted, but only while HTTP listens on loopback.
    """

    given: str | None = field(repr=False)  # keys or NAME:sha256:HEX, separated by commas
    file: Path | None
    development: str


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """Settings of the listener, authentication and middleware.

    `prefix` is the start of the names of the service's environment variables, so that an error can name the
    variable to change.
    """

    prefix: str
    host: str
    port: int  # 0: any free one
    limits: ConnectionLimits
    rate_limit: RateLimit
    max_requests: int
    max_body_bytes: int
    drain_s: float
    keys: KeySources
    tokens: TokenRequirements | None = None
    key_interval_s: float = 5.0
    shares_port: bool = False
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    watch_interval_s: float = 1.0

    def variable(self, name: str) -> str:
        """Return the name of the environment variable that holds the setting `name`."""
        return f"{self.prefix}{name}"
