"""The actions of the custom connector: the table from which both of its files are generated."""

from dataclasses import dataclass

from services.scorer.rest.prices.vehicles import MAX_VEHICLES

PRICES = "/v1/prices"


@dataclass(frozen=True, slots=True)
class Action:
    """An operation of the scorer as the connector offers it.

    `served` is its id in the OpenAPI 3.1 document, `body` the type of its body, `about` a description shorter
    than that document's. Two actions cannot share a path in OpenAPI 2.0: a policy routes a `path` of its own
    to the one that is served.
    """

    id: str
    served: str
    summary: str
    body: str | None = None
    path: str | None = None
    about: str | None = None


_WORDS = "Case and outer spaces of words do not matter."

ACTIONS = (
    Action(
        "PriceVehicle",
        "priceVehicles",
        "Price a vehicle",
        body="Vehicle",
        path=f"{PRICES}/one",
        about=f"One vehicle: its price is the only item of the answer. One that cannot be priced is refused, "
        f"and the refusal says why. {_WORDS}",
    ),
    Action(
        "PriceVehicles",
        "priceVehicles",
        "Price vehicles",
        body="VehicleList",
        about=f"1 to {MAX_VEHICLES} vehicles, answered in their order. One that cannot be priced has its "
        f"error in its place, and the rest are priced. {_WORDS}",
    ),
    Action("ScoreAutomobiles", "scoreAutomobiles", "Price automobiles of 1985", body="AutomobileRequest"),
    Action("ListModels", "listModels", "List the models that are served"),
)
