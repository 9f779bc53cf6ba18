"""Pricing: `pricer` and `automobile` price with one version of a model, `explanation` explains a price."""
