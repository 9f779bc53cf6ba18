"""Example requests of the API's documents."""

VEHICLES = {
    "vehicles": [
        {
            "id": "a",
            "make": "ford",
            "model": "Focus",
            "year": 2017,
            "transmission": "manual",
            "fuel_type": "petrol",
            "engine_l": 1.0,
            "odometer_km": 45_000,
            "rated_consumption_l_100km": 5.2,
        }
    ]
}
AUTOMOBILES = {
    "Inputs": {
        "WebServiceInput0": [
            {"make": "audi", "fuel-type": "gas", "num-of-cylinders": "four", "horsepower": 102}
        ]
    }
}
