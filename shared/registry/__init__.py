"""The model registry: versions of models, which of them is the champion, and the history of champions.

`layout` has the paths, `manifest` the promises of a version, `store` reads and adds versions in the lake,
`version_folder` writes one on disk, `promotion` sets the champion, `history` records it. A service keeps an
`active_model` and lets a `champion_follower` replace it. `seed` fills a new lake with the `shipped` models.
"""
