"""List, show, repair and replay dead letters: records that could not be decoded.

`selection` filters dead letters, `stored_letters` reads them and `letter_view` formats them. `replay_command`
runs a replay: `repairs` makes the replacements, and `replay` sends each one once, using the intents that
`replay_log` stores in the lake.
"""
