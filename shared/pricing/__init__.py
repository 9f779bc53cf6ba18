"""Pricing of vehicles with one version of a model.

`pricer` and `automobile` compute prices; `explanation` explains a price.
"""
