"""AMQP 1.0 for any application, with the protocol kept apart from I/O.

`decoder` and `encoder` convert bytes to values and values to bytes. `frames`, `performatives` and
`performative_encoder` do the same for frames, and `sections` for messages. `connection`, `session` and `link`
are the state machine of the side that accepts a connection. An `application` supplies its nodes, its
authenticator and its refusals; `request_node` and `token_node` are nodes that any application needs.
`asyncio_protocol` runs a connection over a transport.
"""
