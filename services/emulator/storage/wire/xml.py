"""XML that clients send: block lists, tags, access policies."""

from xml.etree.ElementTree import Element, ParseError, fromstring

from services.emulator.storage.model.errors import Refused


def parse_xml(raw: bytes, name: str) -> Element:
    """The document's root, which must be called so. It is refused where it declares entities: a small
    document can stand for gigabytes.
    """
    if b"<!" in raw:
        raise Refused("InvalidXmlDocument")
    try:
        root = fromstring(raw)  # noqa: S314 - entities, which make XML dangerous, were refused above
    except (ParseError, ValueError, LookupError) as exc:  # the last two: encodings nobody knows
        raise Refused("InvalidXmlDocument") from exc
    if root.tag != name:
        raise Refused("InvalidXmlDocument", detail=f"{name} is expected")
    return root


def find_text(element: Element, path: str) -> str:
    """The text below an element, empty where there is none."""
    return (element.findtext(path) or "").strip()
