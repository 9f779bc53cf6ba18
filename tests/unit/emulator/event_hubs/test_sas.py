import pytest
from azure.eventhub._pyamqp.utils import generate_sas_token

from services.emulator.event_hubs.sas import LISTEN, SEND, KeyRing, SharedKey, TokenRefused

HUB = "sb://127.0.0.1:5672/telemetry"
ring = KeyRing(
    [
        SharedKey("Root", "secret"),
        SharedKey("Reader", "reads", frozenset({LISTEN})),
        SharedKey("Mine", "mine", scope="telemetry"),
        SharedKey("with space & sign", "odd"),
    ]
)


def token(audience=HUB, name="Root", key="secret", expiry=2000):
    return generate_sas_token(audience, name, key, expiry)


def test_the_right_key_opens_its_hub():
    """A signature for a hub covers its partitions and groups, and no other hub."""
    grant = ring.grant(token(), HUB, 1000)
    assert grant.covers("telemetry", SEND, 1000)
    assert grant.covers("Telemetry/ConsumerGroups/$Default/Partitions/0", LISTEN, 1000)
    assert not grant.covers("telemetry2", SEND, 1000)
    assert not grant.covers("predictions", SEND, 1000)


def test_a_signature_for_the_namespace_covers_every_hub():
    """A token without a path is good for everything."""
    grant = ring.grant(token("sb://127.0.0.1:5672/"), "sb://127.0.0.1:5672/", 1000)
    assert grant.covers("telemetry", SEND, 1000)
    assert grant.covers("predictions/Partitions/1", SEND, 1000)


def test_a_grant_ends_when_its_token_does():
    """A grant that expires at two o'clock allows nothing at two."""
    grant = ring.grant(token(), HUB, 1000)
    assert not grant.covers("telemetry", SEND, 2000)
    assert not grant.reaches_hub("telemetry", 2000)


def test_a_key_allows_only_its_claims():
    """A key for listening does not send."""
    grant = ring.grant(token(name="Reader", key="reads"), HUB, 1000)
    assert grant.covers("telemetry", LISTEN, 1000)
    assert not grant.covers("telemetry", SEND, 1000)


def test_a_hubs_own_key_opens_only_that_hub():
    """A key of one hub signs nothing for another."""
    assert ring.grant(token(name="Mine", key="mine"), HUB, 1000).covers("telemetry", SEND, 1000)
    other = "sb://127.0.0.1:5672/predictions"
    with pytest.raises(TokenRefused, match="InvalidSignature"):
        ring.grant(token(other, "Mine", "mine"), other, 1000)


def test_names_with_signs_are_found():
    """A key's name may hold what a URL quotes."""
    assert ring.grant(token(name="with space & sign", key="odd"), HUB, 1000)


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (token(key="wrong"), "InvalidSignature"),
        (token(name="Nobody"), "InvalidSignature"),
        (token(expiry=999), "Expired"),
        (token("sb://127.0.0.1:5672/predictions"), "InvalidAudience"),
        (token("sb://elsewhere/telemetry"), "InvalidAudience"),
        (token().replace("se=2000", "se=9000"), "InvalidSignature"),
        (token().replace("se=2000", "se=soon"), "Malformed"),
        ("SharedAccessSignature sr=x", "Malformed"),
        ("", "Malformed"),
    ],
)
def test_wrong_tokens_are_refused_with_the_reason(made, reason):
    """Key, expiry and audience are all checked."""
    with pytest.raises(TokenRefused, match=reason):
        ring.grant(made, HUB, 1000)


def test_a_resource_without_a_scheme_is_not_the_namespace():
    """Leaving out sb:// does not widen what a signature covers."""
    grant = ring.grant(token("127.0.0.1/telemetry"), "127.0.0.1/telemetry", 1000)
    assert not grant.covers("predictions", SEND, 1000)


def test_plain_passwords_are_keys():
    """SASL PLAIN takes the key's name and value."""
    assert ring.plain_grant("Root", "secret").covers("telemetry", SEND, 1000)
    with pytest.raises(TokenRefused):
        ring.plain_grant("Root", "wrong")
