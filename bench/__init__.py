"""Figures of parts, each beside a floor measured in the same run; `fleetprice bench` has those of services."""
