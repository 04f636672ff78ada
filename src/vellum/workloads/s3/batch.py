"""The keys of DeleteObjects, read from its body part by part. Pure.

The store reads the same body with Go's reader of XML. So what two readers may read differently is refused: another
encoding than UTF-8, a document type, a ``Key`` with elements in it, two keys of one object.
"""

from __future__ import annotations

from xml.parsers import expat

MOST = 1000
"""Objects of one request, as in S3."""
_DEEPEST = 3
"""``Delete/Object/Key``."""
_MOST_ELEMENTS = 8 * MOST
"""An object has a key, and at most five more elements."""


class Reader:
    """Reads a body as it comes, and stops at the first thing that is wrong."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.XmlDeclHandler = _declared
        self._parser.StartDoctypeDeclHandler = _typed
        self._parser.StartElementHandler = self._opened
        self._parser.EndElementHandler = self._closed
        self._parser.CharacterDataHandler = self._text
        self._path: list[str] = []
        self._elements = 0
        self._keys: list[str | None] = []
        """A key for each object; None until it is read."""

    def feed(self, part: bytes) -> None:
        """Read one part.

        Raises:
            ValueError: the body is not a list of at most 1000 keys.
        """
        self._parse(part, last=False)

    def keys(self) -> list[str]:
        """Return the keys, after the last part.

        Raises:
            ValueError: the body has ended too soon, or an object has no key.
        """
        self._parse(b"", last=True)
        results = [key for key in self._keys if key is not None]
        if len(results) != len(self._keys):
            raise ValueError("an Object has no Key")
        return results

    def _parse(self, part: bytes, *, last: bool) -> None:
        # Expat also reads UTF-16, whatever it is told; each of its marks has a zero byte, and UTF-8 has none.
        if b"\0" in part:
            raise ValueError("it is not UTF-8")
        try:
            self._parser.Parse(part, last)
        except expat.ExpatError as wrong:
            raise ValueError(str(wrong)) from wrong

    def _opened(self, tag: str, _: dict[str, str]) -> None:
        name = tag.rpartition(":")[2]
        self._path.append(name)
        self._elements += 1
        if len(self._path) == 1 and name != "Delete":
            raise ValueError(f"it begins with {name}, not with Delete")
        if len(self._path) > _DEEPEST:
            raise ValueError(f"{self._path[-2]} has an element in it")
        if self._path == ["Delete", "Object"]:
            self._keys.append(None)
        elif self._path == ["Delete", "Object", "Key"]:
            if self._keys[-1] is not None:
                raise ValueError("an Object has two Keys")
            self._keys[-1] = ""
        if len(self._keys) > MOST or self._elements > _MOST_ELEMENTS:
            raise ValueError(f"it has more than {MOST} objects")

    def _closed(self, _: str) -> None:
        self._path.pop()

    def _text(self, text: str) -> None:
        if self._path == ["Delete", "Object", "Key"]:
            self._keys[-1] = f"{self._keys[-1]}{text}"


def read(body: bytes) -> list[str]:
    """Return the keys of a whole body.

    Raises:
        ValueError: the body is not a list of at most 1000 keys.
    """
    reader = Reader()
    reader.feed(body)
    return reader.keys()


def _declared(_: str, encoding: str | None, __: int) -> None:
    if encoding is not None and encoding.lower() != "utf-8":
        raise ValueError(f"its encoding is {encoding}, not UTF-8")


def _typed(*_: object) -> None:
    raise ValueError("it has a document type")
