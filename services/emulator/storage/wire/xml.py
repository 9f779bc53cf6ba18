"""XML documents: parsing of those that clients send, and encoding of responses."""

from xml.etree.ElementTree import Element, ParseError, fromstring

from services.emulator.storage.model.errors import Refused


def parse_xml(raw: bytes, name: str) -> Element:
    """Parse a document whose root element must be called `name`.

    Raises InvalidXmlDocument if the document is malformed, has another root element, or declares entities:
    with entities a small document can expand to gigabytes.
    """
    if b"<!" in raw:
        raise Refused("InvalidXmlDocument")
    try:
        root = fromstring(raw)  # noqa: S314 - entities were refused above
    except (ParseError, ValueError, LookupError) as exc:  # the last two: unknown encodings
        raise Refused("InvalidXmlDocument") from exc
    if root.tag != name:
        raise Refused("InvalidXmlDocument", detail=f"{name} is expected")
    return root


def encode_xml(root: str) -> bytes:
    """Encode an XML document from its root element."""
    return f'<?xml version="1.0" encoding="utf-8"?>{root}'.encode()


def find_text(element: Element, path: str) -> str:
    """Return the text at a path below an element, or an empty string."""
    return (element.findtext(path) or "").strip()
