"""XML from strangers, without a document type: its entities may grow without end."""

from __future__ import annotations

from xml.etree import ElementTree

from labelclean.errors import printable


class _NoDoctype(ElementTree.TreeBuilder):
    def doctype(self, name: str, pubid: str | None, system: str | None) -> None:
        raise ValueError("a document type is not allowed")


def parse_xml(data: bytes) -> ElementTree.Element:
    """The root element. Raises ValueError with the reason, on one line."""
    try:
        return ElementTree.fromstring(data, parser=ElementTree.XMLParser(target=_NoDoctype()))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(printable(error)) from None
