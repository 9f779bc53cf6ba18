"""The state machine without a network: frames in, frames out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.amqp import encoder as amqp
from shared.amqp.frames import AMQP_HEADER, SASL_HEADER, frame
from shared.amqp.memory_quota import AUTHENTICATED_BYTES, UNAUTHENTICATED_BYTES
from shared.amqp.performatives import Outcome
from tests.unit.shared.amqp.memory_peer import (
    BEGIN,
    OPEN,
    SASL,
    World,
    attach,
    credit,
    disposition,
    performative,
    transfer,
)

OPENED, BEGUN, ATTACHED, FLOW, TRANSFER, DISPOSITION, DETACHED, CLOSED = (*range(0x10, 0x17), 0x18)


def codes(answers):
    return [answer if isinstance(answer, bytes) else answer[0] for answer in answers]


def test_a_connection_opens_in_one_exchange(world):
    """SASL, OPEN and BEGIN may come at once; each is answered in order."""
    answers = world.say(SASL, OPEN, BEGIN)
    assert codes(answers) == [SASL_HEADER, 0x40, 0x44, AMQP_HEADER, OPENED, BEGUN]
    assert answers[1][1] == [["PLAIN"]]
    assert answers[2][1][0] == 0
    assert answers[4][1][0] == "test"
    assert world.connection.is_open


@pytest.mark.parametrize(("mechanism", "response"), [("PLAIN", b"\0me\0wrong"), ("GSSAPI", b"")])
def test_a_peer_that_proves_nothing_is_hung_up_on(world, mechanism, response):
    """A wrong password and a mechanism that was not offered are answered with the outcome 1, then the end."""
    answers = world.say(
        SASL_HEADER, performative(0x41, amqp.symbol(mechanism), amqp.binary(response), kind=1)
    )
    assert answers[-1][:2] == (0x44, [1, None])
    assert world.transport.is_closed


def test_another_protocol_is_answered_with_ours(world):
    """A header of another version is answered with the one that we speak, then the end."""
    assert world.say(b"AMQP\x00\x00\x09\x01") == [AMQP_HEADER]
    assert world.transport.is_closed


@pytest.mark.parametrize(
    ("said", "condition"),
    [
        (BEGIN, "amqp:not-allowed"),
        (OPEN + OPEN, "amqp:not-allowed"),
        (OPEN + BEGIN + BEGIN, "amqp:not-allowed"),
        (performative(0x10, amqp.string("x"), amqp.NULL, amqp.uint(100)), "amqp:invalid-field"),
        (frame(0, b"\x00\x53\x10\xc0\x02\x01\x43"), "amqp:decode-error"),
        (b"\x00\x00\x00\x08\x01\x00\x00\x00", "amqp:connection:framing-error"),
        (performative(0x17, amqp.NULL, kind=7), "amqp:connection:framing-error"),
        (OPEN + BEGIN + attach(1, "inbox", receiver=False) * 2, "amqp:session:handle-in-use"),
    ],
)
def test_what_breaks_the_protocol_closes_the_connection(world, said, condition):
    """CLOSE carries the standard's condition, and nothing is read after it."""
    answers = world.say(SASL, said, OPEN)
    assert codes(answers)[-1] == CLOSED
    assert answers[-1][1][0].value[0] == condition
    assert world.transport.is_closed


def test_a_link_offers_what_its_node_chooses(opened):
    """The answer to ATTACH echoes the ends and the properties, and offers the node's capabilities."""
    properties = amqp.mapping([(amqp.symbol("com.example:key"), amqp.long(7))])
    wanted = amqp.symbols(["one", "two"])
    [answer, _flow] = opened.say(
        attach(3, "inbox", receiver=False, capabilities=wanted, properties=properties)
    )
    name, handle, is_receiver, *_ = answer[1]
    assert (name, handle, is_receiver) == ("link-3", 3, True)
    assert answer[1][6].value[0] == "inbox"
    assert answer[1][11] == ["one", "two"]
    assert answer[1][13] == {"com.example:key": 7}


def test_an_address_without_a_node_is_refused(opened):
    """A refused link has null ends and is detached with the resolver's refusal; the session lives on."""
    [answer, detached] = opened.say(attach(0, "nothing", receiver=True))
    assert (answer[0], answer[1][5:7]) == (ATTACHED, [None, None])
    assert detached[1][2].value[:2] == ["amqp:not-found", "There is no nothing."]
    assert codes(opened.say(performative(0x16, amqp.uint(0)), attach(0, "inbox", receiver=False))) == [
        ATTACHED,
        FLOW,
    ]


def test_deliveries_are_settled_one_by_one(opened):
    """A sink accepts or rejects each delivery; one that was sent settled is not answered."""
    answers = opened.say(
        attach(0, "inbox", receiver=False),
        transfer(0, 5, b"good"),
        transfer(0, 6, b"bad"),
        transfer(0, 7, b"quiet", settled=True),
    )
    assert opened.nodes["inbox"].payloads == [b"good", b"bad", b"quiet"]
    settled = [answer[1] for answer in answers if answer[0] == DISPOSITION]
    assert [(fields[1], fields[4].descriptor) for fields in settled] == [(5, 0x24), (6, 0x25)]
    assert settled[1][4].value[0].value[:2] == ["example:bad", "Not this one."]


def receive(world, settle_mode, count=3):
    """Attach to the queue, and return the answered mode and the deliveries' (id, tag, settled, payload)."""
    answers = world.say(attach(0, "queue", receiver=True, settle_mode=settle_mode), credit(0, count))
    mode = answers[0][1][3]
    deliveries = [(*answer[1][1:3], answer[1][4], answer[2]) for answer in answers if answer[0] == TRANSFER]
    return mode, deliveries


def test_an_unsettled_receiver_gets_unsettled_deliveries(opened):
    """Deliveries have tags of their own and are not settled, in the mode that the receiver asked for."""
    mode, deliveries = receive(opened, amqp.ubyte(0))
    assert mode == 0
    assert [(settled, payload) for _, _, settled, payload in deliveries] == [
        (False, b"first"),
        (False, b"second"),
        (False, b"third"),
    ]
    assert len({tag for _, tag, *_ in deliveries}) == 3


def test_a_receiver_of_settled_deliveries_gets_them_settled(opened):
    """A receiver that asks for settled deliveries gets them so, even from a source that would wait."""
    mode, deliveries = receive(opened, amqp.ubyte(1))
    assert mode == 1
    assert all(settled for _, _, settled, _ in deliveries)
    opened.say(disposition(1, 3, Outcome.ACCEPTED))
    assert opened.nodes["queue"].outcomes == []


def test_outcomes_reach_the_source_once(opened):
    """The source receives each outcome, accepted, released, rejected or modified; a second one is ignored."""
    opened.queued = [b"a", b"b", b"c", b"d"]
    receive(opened, amqp.NULL, 4)
    answers = opened.say(
        disposition(1, 1, Outcome.ACCEPTED),
        disposition(2, 2, Outcome.RELEASED),
        disposition(3, 3, Outcome.REJECTED),
        disposition(4, 4, Outcome.MODIFIED),
        disposition(1, 4, Outcome.ACCEPTED),
    )
    assert not answers
    assert opened.nodes["queue"].outcomes == [
        (b"a", Outcome.ACCEPTED),
        (b"b", Outcome.RELEASED),
        (b"c", Outcome.REJECTED),
        (b"d", Outcome.MODIFIED),
    ]


def test_one_disposition_may_settle_many(opened):
    """A range of deliveries shares an outcome, in the order in which they were sent."""
    receive(opened, amqp.ubyte(0))
    opened.say(disposition(1, 2**31 - 1, Outcome.ACCEPTED))
    assert opened.nodes["queue"].outcomes == [
        (message, Outcome.ACCEPTED) for message in (b"first", b"second", b"third")
    ]


def test_a_receiver_that_settles_second_is_answered(opened):
    """An outcome that is not settled yet is confirmed with a settled disposition of the sender's."""
    receive(opened, amqp.ubyte(0))
    [answer] = opened.say(disposition(1, 2, Outcome.ACCEPTED, settled=False))
    is_receiver, first, last, settled, state, *_ = answer[1]
    assert (is_receiver, first, last, settled, state.descriptor) == (False, 1, 2, True, 0x24)
    assert not opened.say(disposition(1, 2))


def test_a_disposition_without_an_outcome_changes_nothing(opened):
    """Neither a sender's disposition, nor one that has reached no outcome, is one of a delivery of ours."""
    receive(opened, amqp.ubyte(0))
    received = 0x23
    assert not opened.say(
        disposition(1, 3, Outcome.ACCEPTED, is_receiver=False), disposition(1, 3, received, settled=False)
    )
    assert opened.nodes["queue"].outcomes == []


@pytest.mark.parametrize("end", ["settled", "detach", "end", "lost"])
def test_deliveries_without_an_outcome_are_released(opened, end):
    """A receiver that settles without an outcome, or goes away, leaves its deliveries to the next one."""
    receive(opened, amqp.ubyte(0), 1)
    queue = opened.nodes["queue"]
    match end:
        case "settled":
            opened.say(disposition(1, 1))
        case "detach":
            opened.say(performative(0x16, amqp.uint(0), amqp.boolean(True)))
        case "end":
            opened.say(performative(0x17, amqp.NULL))
        case "lost":
            opened.connection.end()
    assert queue.outcomes == [(b"first", Outcome.RELEASED)]
    assert queue.is_closed == (end != "settled")


def test_a_released_delivery_can_be_sent_again(opened):
    """A source may send a released message on the same link, as a delivery of its own."""
    receive(opened, amqp.ubyte(0), 4)
    [again] = opened.say(disposition(1, 1, Outcome.RELEASED))
    assert (again[0], again[1][1], again[2]) == (TRANSFER, 4, b"first")
    opened.connection.end()
    assert opened.nodes["queue"].outcomes[1:] == [
        (message, Outcome.RELEASED) for message in (b"second", b"third", b"first")
    ]


def test_drained_credit_is_used_up(opened):
    """A source with nothing more to send answers a drain with no credit left."""
    *_, drained = opened.say(attach(0, "queue", receiver=True), credit(0, 10, drain=True))
    assert (drained[0], drained[1][5:7]) == (FLOW, [10, 0])


def cbs_request(token):
    request = amqp.described(0x73, amqp.sequence([amqp.string("id")]))
    pairs = [("operation", "put-token"), ("name", "sb://here"), ("type", "jwt")]
    named = ((amqp.string(name), amqp.string(value)) for name, value in pairs)
    return request + amqp.described(0x74, amqp.mapping(named)) + amqp.described(0x77, amqp.string(token))


@pytest.mark.parametrize(("token", "status"), [("good", 200), ("bad", 401)])
def test_a_token_is_answered_with_the_applications_status(world, token, status):
    """`$cbs` settles the request, then answers with the authenticator's status, or 401 and its words."""
    answers = world.say(
        OPEN,
        BEGIN,
        attach(0, "$cbs", receiver=False),
        attach(1, "$cbs", receiver=True),
        transfer(0, 1, cbs_request(token)),
    )
    assert codes(answers)[-2:] == [DISPOSITION, TRANSFER]
    assert amqp.string("status-code") + amqp.integer(status) in answers[-1][2]
    assert world.is_authenticated == (token == "good")


def test_memory_is_bounded_by_authentication(world):
    """Sessions of a peer count against a small quota until it is authenticated, then against a large one."""
    quota = world.connection.peer.quota
    quota.hold(UNAUTHENTICATED_BYTES)
    assert codes(world.say(OPEN, BEGIN))[-1] == CLOSED
    world.is_authenticated = True
    quota.release(quota.held_bytes)
    quota.hold(AUTHENTICATED_BYTES)


def test_only_links_of_use_keep_a_silent_connection(opened):
    """A link to `$cbs` does not; a link to a queue does, until it is detached."""
    opened.say(attach(0, "$cbs", receiver=True))
    assert not opened.connection.is_in_use
    opened.say(attach(1, "queue", receiver=True))
    assert opened.connection.is_in_use
    opened.say(performative(0x16, amqp.uint(1), amqp.boolean(True)))
    assert not opened.connection.is_in_use


CONVERSATION = b"".join(
    [
        SASL,
        OPEN,
        BEGIN,
        attach(0, "inbox", receiver=False),
        attach(1, "queue", receiver=True, settle_mode=amqp.ubyte(0)),
        credit(1, 2),
        transfer(0, 1, b"message"),
        disposition(1, 2, Outcome.RELEASED, settled=False),
        performative(0x16, amqp.uint(0), amqp.boolean(True)),
        performative(0x17, amqp.NULL),
        performative(0x18, amqp.NULL),
    ]
)


@given(
    st.lists(st.tuples(st.integers(0, len(CONVERSATION) - 1), st.integers(0, 255)), max_size=6),
    st.integers(1, len(CONVERSATION)),
)
def test_a_spoilt_conversation_is_answered_or_closed(changes, piece_bytes):
    """Whichever bytes of a conversation change, and however TCP cuts it, nothing fails but the connection."""
    spoilt = bytearray(CONVERSATION)
    for at, value in changes:
        spoilt[at] = value
    world = World()
    for start in range(0, len(spoilt), piece_bytes):
        world.say(bytes(spoilt[start : start + piece_bytes]))
    world.connection.end()
    assert not world.connection.links
    assert all(node.is_closed for node in world.nodes.values())
