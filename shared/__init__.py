"""Libraries that more than one service uses."""

__version__ = "0.1.0"
# The packages of our modules. In a wheel they are one: its build renames what is written as a module's name.
OWN_PACKAGES = frozenset({__name__, "services.cli".partition(".")[0]})
