"""Declarations of a field of the contract: its bounds, its unit and its COVESA VSS signal."""

from datetime import UTC, datetime

from msgspec import Meta

MAX_TEXT_LENGTH = 64
# The range of timestamps: every reader's clock and file format can hold it.
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
    """Declare a number in `unit` within [ge, le]: Vehicle.`vss`, in `vss_unit`, times `factor`."""
    description, extra = _describe(vss, about)
    extra |= {"unit": unit, "vss_unit": vss_unit or unit, "factor": factor}
    return Meta(description=description, ge=ge, le=le, extra=extra)


def count(ge: int, le: int, vss: str | None = None, *, about: str = "") -> Meta:
    """Declare a whole number without a unit within [ge, le]."""
    description, extra = _describe(vss, about)
    return Meta(description=description, ge=ge, le=le, extra=extra)


def text(
    vss: str | None = None, *, about: str = "", min_length: int = 0, max_length: int = MAX_TEXT_LENGTH
) -> Meta:
    """Declare a text; lengths in characters."""
    description, extra = _describe(vss, about)
    return Meta(description=description, min_length=min_length, max_length=max_length, extra=extra)


def flag(vss: str) -> Meta:
    """Declare a boolean."""
    description, extra = _describe(vss, "")
    return Meta(description=description, extra=extra)


def timestamp(about: str) -> Meta:
    """Declare a timestamp in RFC 3339; a time zone is required, we send UTC."""
    return Meta(description=about, tz=True, extra={"unit": "RFC 3339"})
