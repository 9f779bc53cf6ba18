"""From a version's files to what prices with it; each raises ModelUnusable where a promise is broken."""

from collections.abc import Mapping

from shared.pricing.automobile import AutomobilePricer
from shared.pricing.model import load_model
from shared.pricing.pricer import Pricer


def price_pricer(files: Mapping[str, bytes]) -> Pricer:
    return Pricer(load_model(files))


def automobile_pricer(files: Mapping[str, bytes]) -> AutomobilePricer:
    return AutomobilePricer(load_model(files))
