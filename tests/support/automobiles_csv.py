"""A made-up set of automobiles with the columns of the 1985 one."""

import csv
import io

import numpy as np

from shared.contract.automobile import NUMBERS, WORDS

SEEN = {
    "make": ["alfa-romero", "peugot", "mercedes-benz", "audi"],
    "num-of-doors": ["two", "four"],
    "num-of-cylinders": ["four", "six"],
    "engine-type": ["ohc", "dohc"],
}


def automobiles_csv(rows=160, seed=3):
    """Prices follow from make and weight; some words, numbers and prices are missing."""
    rng = np.random.default_rng(seed)
    table = []
    for _ in range(rows):
        words = {name: rng.choice(SEEN.get(name, ["one", "other"])) for name in WORDS}
        numbers = {name: round(float(rng.uniform(1, 100)), 1) for name in NUMBERS}
        numbers["curb-weight"] = int(rng.integers(1_500, 4_000))
        place = SEEN["make"].index(words["make"])
        log_price = (
            7.5
            + 0.3 * place
            + 0.2 * (words["num-of-cylinders"] == "six")
            + 0.2 * (words["num-of-doors"] == "two")
            + numbers["curb-weight"] / 2_000
            + rng.normal(0, 0.05)
        )
        table.append({**words, **numbers, "price": round(float(np.exp(log_price)))})
    table[0]["price"] = ""
    table[1]["price"] = "?"
    for row in table[2:20]:
        row["normalized-losses"] = ""
        row["num-of-doors"] = "?"
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]))
    writer.writeheader()
    writer.writerows(table)
    return text.getvalue()
