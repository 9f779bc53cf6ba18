"""How a field of the contract is declared: its bounds, its unit and the COVESA VSS signal it comes from."""

from datetime import UTC, datetime

from msgspec import Meta

MAX_TEXT_LENGTH = 64
# Instants that every reader's clock and file format holds.
EARLIEST, LATEST = datetime(1990, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


def _describe(vss: str | None, about: str) -> tuple[str, dict[str, object]]:
    return (about or f"Vehicle.{vss}"), {"vss": f"Vehicle.{vss}" if vss else None}


def signal(
    unit: str,
    ge: float,
    le: float,
    vss: str | None = None,
    *,
    about: str = "",
    vss_unit: str | None = None,
    factor: float = 1.0,
) -> Meta:
    """A number in `unit` within [ge, le]; Vehicle.`vss`, in `vss_unit`, times `factor` gives it."""
    description, extra = _describe(vss, about)
    extra |= {"unit": unit, "vss_unit": vss_unit or unit, "factor": factor}
    return Meta(description=description, ge=ge, le=le, extra=extra)


def count(ge: int, le: int, vss: str | None = None, *, about: str = "") -> Meta:
    """A whole number without a unit within [ge, le]."""
    description, extra = _describe(vss, about)
    return Meta(description=description, ge=ge, le=le, extra=extra)


def text(vss: str | None = None, *, about: str = "", least: int = 0, most: int = MAX_TEXT_LENGTH) -> Meta:
    """A text of `least` to `most` characters."""
    description, extra = _describe(vss, about)
    return Meta(description=description, min_length=least, max_length=most, extra=extra)


def flag(vss: str) -> Meta:
    """True or false."""
    description, extra = _describe(vss, "")
    return Meta(description=description, extra=extra)


def moment(about: str) -> Meta:
    """An instant; a zone is required (RFC 3339), UTC is what we send."""
    return Meta(description=about, tz=True, extra={"unit": "RFC 3339"})
