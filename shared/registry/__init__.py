"""The model registry: the versions of models, the current champion of each, and the history of champions.

`layout` defines the paths and `model_manifest` what a version promises. `store` reads versions and adds them
to the lake, `version_folder` writes a version on disk, `promotion` sets the champion and `history` records
promotions. A service keeps an `active_model` and lets a `champion_follower` replace it. `seed` fills a new
lake with the `shipped` models.
"""
