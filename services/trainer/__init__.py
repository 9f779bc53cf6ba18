"""Training of the models, from a data set to a version's folder."""
