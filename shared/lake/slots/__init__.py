"""The raw zone's files and how they form chains: naming, reading and following them."""
