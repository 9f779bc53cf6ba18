"""Records that could not be decoded: listed, shown, repaired and replayed.

`selection` filters them, `stored_letters` finds them and `letter_view` shows them. `replay_command` replays
them with their `repairs`: `replay` sends each once, by the intents in `replay_log`.
"""
