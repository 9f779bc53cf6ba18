"""Benchmarks of parts of services, each beside a floor measured in the same run.

`fleetprice bench` measures whole services.
"""
