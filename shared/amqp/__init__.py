"""AMQP 1.0 without I/O, for any application.

`decoder` and `encoder` turn values into bytes and back; `frames`, `performatives` and `performative_encoder`
do so for frames, `sections` for messages. `connection`, `session` and `link` are the state machine of the
side that accepts a connection. An `application` hands in its nodes, its authenticator and its refusals;
`request_node` and `token_node` are nodes that any application needs. `asyncio_protocol` runs a connection
over a transport.
"""
