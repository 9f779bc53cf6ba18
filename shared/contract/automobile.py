"""The fields of a 1985 automobile, under the names of the UCI data set, which the published apps send."""

WORDS = (
    "make",
    "fuel-type",
    "aspiration",
    "num-of-doors",
    "body-style",
    "drive-wheels",
    "engine-location",
    "engine-type",
    "num-of-cylinders",
    "fuel-system",
)
UNIT_OF_NUMBER = {
    "symboling": "",
    "normalized-losses": "",
    "wheel-base": "in",
    "length": "in",
    "width": "in",
    "height": "in",
    "curb-weight": "lb",
    "engine-size": "cu in",
    "bore": "in",
    "stroke": "in",
    "compression-ratio": "",
    "horsepower": "hp",
    "peak-rpm": "rpm",
    "city-mpg": "mpg",
    "highway-mpg": "mpg",
}
NUMBERS = tuple(UNIT_OF_NUMBER)
INPUTS = WORDS + NUMBERS
