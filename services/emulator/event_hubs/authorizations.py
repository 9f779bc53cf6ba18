"""The grants that the tokens of one connection have given, until they expire or are withdrawn."""

import asyncio
from collections.abc import Callable

from services.emulator.event_hubs import refusals
from services.emulator.event_hubs.sas import Grant, KeyRing
from shared.amqp.refusal import RESOURCE_LIMIT, Refusal

# One for each audience. The JavaScript SDK puts a token for each of its links.
MAX_GRANTS = 4096
MAX_AUDIENCE_LENGTH = 2048
# The timers of the event loop and the wall clock may differ slightly.
_MIN_WAIT_S = 0.01

EXPIRED = "ExpiredToken: The token is expired."
REVOKED = "The key that signed the token is no longer valid."
WITHDRAWN = "The last token on the connection was refused."


class Authorizations:
    """The grants of one connection.

    `lapsed` is called with the reason whenever the connection is allowed less than before.
    """

    def __init__(
        self,
        keys: KeyRing,
        loop: asyncio.AbstractEventLoop,
        now_s: Callable[[], float],
        lapsed: Callable[[str], None],
    ) -> None:
        self._keys = keys
        self._loop = loop
        self._now_s = now_s
        self._lapsed = lapsed
        self._grants: dict[str, Grant] = {}
        self._timer: asyncio.TimerHandle | None = None

    def __bool__(self) -> bool:
        return bool(self._grants)

    def put(self, grant: Grant) -> None:
        """Add a grant, or replace the grant for the same audience.

        Raises Refusal if the connection has too many audiences or the audience is too long.
        """
        older = self._grants.get(grant.scope)
        if len(grant.scope) > MAX_AUDIENCE_LENGTH or (older is None and len(self._grants) >= MAX_GRANTS):
            raise Refusal(RESOURCE_LIMIT, "The connection's audiences are too many or too long.")
        self._grants[grant.scope] = grant
        self._wait_for_expiry()
        if older is not None and not older.claims <= grant.claims:
            self._lapsed("The newer token allows less.")

    def covers(self, path: str, claim: str) -> bool:
        now_s = self._now_s()
        return any(grant.covers(path, claim, now_s) for grant in self._grants.values())

    def demand(self, path: str, claim: str) -> None:
        """Raises Refusal unless a valid token allows `claim` on `path`."""
        if not self.covers(path, claim):
            raise refusals.unauthorized(claim, path)

    def reaches_hub(self, hub: str) -> bool:
        now_s = self._now_s()
        return any(grant.reaches_hub(hub, now_s) for grant in self._grants.values())

    def clear(self, reason: str = WITHDRAWN) -> None:
        self._keep(lambda _grant: False, reason)

    def recheck_keys(self) -> None:
        """Withdraw the grants whose signing keys no longer exist."""
        self._keep(lambda grant: grant.key is None or self._keys.holds(grant.key), REVOKED)

    def stop(self) -> None:
        """Drop all grants and cancel the expiry timer, because the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._grants.clear()

    def _keep(self, is_kept: Callable[[Grant], bool], reason: str) -> None:
        kept = {scope: grant for scope, grant in self._grants.items() if is_kept(grant)}
        has_less = len(kept) < len(self._grants)
        self._grants = kept
        self._wait_for_expiry()
        if has_less:
            self._lapsed(reason)

    def _wait_for_expiry(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        ends_at_s = min((grant.expires_at_s for grant in self._grants.values()), default=float("inf"))
        if ends_at_s != float("inf"):
            self._timer = self._loop.call_later(max(ends_at_s - self._now_s(), _MIN_WAIT_S), self._expire)

    def _expire(self) -> None:
        now_s = self._now_s()
        self._keep(lambda grant: now_s < grant.expires_at_s, EXPIRED)
