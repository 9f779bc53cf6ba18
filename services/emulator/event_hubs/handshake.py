"""What is said before a connection is open: protocol headers, and who the client says it is."""

from services.emulator.event_hubs.sas import Grant, KeyRing, TokenRefused
from shared.amqp import performative_encoder
from shared.amqp.frames import AMQP_HEADER, SASL_FRAME, SASL_HEADER, frame
from shared.amqp.performatives import SaslInit

SPOKEN = (AMQP_HEADER, SASL_HEADER)
# Whoever comes without a key proves later, by a token, what it may do.
_MECHANISMS = ("ANONYMOUS", "MSSBCBS", "PLAIN", "EXTERNAL")
_OK, _AUTH = 0, 1

ADMITTED = frame(0, performative_encoder.sasl_outcome(_OK), SASL_FRAME)
NOT_ADMITTED = frame(0, performative_encoder.sasl_outcome(_AUTH), SASL_FRAME)


def answer_to(header: bytes) -> list[bytes]:
    """To a protocol that is not spoken the standard's answer is the one that is."""
    if header == SASL_HEADER:
        return [SASL_HEADER, frame(0, performative_encoder.sasl_mechanisms(_MECHANISMS), SASL_FRAME)]
    return [AMQP_HEADER]


def proved(init: SaslInit, keys: KeyRing) -> Grant | None:
    """What a key's name and value allow, where they came. Raises TokenRefused."""
    if init.mechanism not in _MECHANISMS:
        raise TokenRefused(f"the mechanism {init.mechanism} is not known")
    if init.mechanism != "PLAIN":
        return None
    try:
        _, name, password = (init.initial_response or b"").decode().split("\0")
    except ValueError as exc:
        raise TokenRefused("a name and a password are expected") from exc
    return keys.plain_grant(name, password)
