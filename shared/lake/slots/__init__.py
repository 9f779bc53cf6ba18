"""The raw zone's files and how they form chains: what writes them, and whatever goes along them."""
