"""The model of 1985 automobiles, behind `POST /score`."""
