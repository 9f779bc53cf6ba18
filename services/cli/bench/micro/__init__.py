"""Figures of parts, each beside a floor of the same run; `fleetprice bench` measures whole services."""
