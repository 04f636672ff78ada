"""Remove from a PDF what its layers hide, so that only visible text is cited.

A PDF names its layers (optional content groups) and says which are off. Content, drawings inside drawings and
annotations can belong to a layer, or to an expression over several (ISO 32000-2, 8.11). PDFium extracts the text
of all layers, so hidden text is removed before PDFium reads the file.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pikepdf

_SHOWS_TEXT = frozenset({"Tj", "TJ", "'", '"'})
_DRAWS = frozenset({"Do", "sh", "INLINE IMAGE", "EI"})
_DEEPEST = 16
"""The most levels of nested drawings and nested expressions that are followed."""


def without_hidden(path: Path) -> bytes | None:
    """Return a PDF without its hidden content, or None if the file hides nothing or qpdf cannot open it.

    Raises:
        ValueError: the file hides something, and qpdf cannot tell what.
    """
    # A stream: qpdf takes no name that is not UTF-8.
    with path.open("rb") as file:
        return _without_hidden(file)


def _without_hidden(file: BinaryIO) -> bytes | None:
    try:
        # From a stream without a map qpdf calls Python for every line of a damaged file: five times slower.
        pdf = pikepdf.open(file, access_mode=pikepdf.AccessMode.mmap)
    except (pikepdf.PdfError, pikepdf.PasswordError, RuntimeError):
        # PDFium reads some files that qpdf refuses, and reports damaged and encrypted files itself.
        return None
    with pdf:
        layers = _Layers(pdf)
        if not layers.off:
            return None
        try:
            return _cleaned(pdf, layers)
        except (pikepdf.PdfError, AttributeError, TypeError, RuntimeError) as error:
            raise ValueError(f"the layers cannot be read: {error}") from error


def _cleaned(pdf: pikepdf.Pdf, layers: _Layers) -> bytes:
    for page in pdf.pages:
        _clean_page(pdf, page, layers)
    whole = io.BytesIO()
    pdf.save(whole)
    return whole.getvalue()


class _Layers:
    """The layers of a file that are off when a reader opens it."""

    def __init__(self, pdf: pikepdf.Pdf) -> None:
        self.off: set[tuple[int, int]] = set()
        properties = pdf.Root.get("/OCProperties")
        if not isinstance(properties, pikepdf.Dictionary):
            return
        config = properties.get("/D", pikepdf.Dictionary())
        if config.get("/BaseState") == "/OFF":
            self.off = {layer.objgen for layer in _dictionaries(properties.get("/OCGs"))}
        self.off -= {layer.objgen for layer in _dictionaries(config.get("/ON"))}
        self.off |= {layer.objgen for layer in _dictionaries(config.get("/OFF"))}
        self._apply_usage(config)

    def hides(self, owner: Any, depth: int = 0) -> bool:  # noqa: ANN401  # a layer, an expression's dictionary, or none
        """Return whether the content of this layer, or of this expression over layers, is hidden."""
        if not isinstance(owner, pikepdf.Dictionary) or depth > _DEEPEST:
            return False
        if owner.get("/Type") != "/OCMD":
            return owner.objgen in self.off
        if isinstance(expression := owner.get("/VE"), pikepdf.Array):
            return not self._holds(expression, depth)
        states = [layer.objgen not in self.off for layer in _dictionaries(owner.get("/OCGs"))]
        policy = str(owner.get("/P", "/AnyOn"))
        shown = {"/AllOn": all(states), "/AnyOff": not all(states), "/AllOff": not any(states)}.get(policy, any(states))
        return bool(states) and not shown

    def _holds(self, expression: Any, depth: int) -> bool:  # noqa: ANN401  # an array, or a layer
        if not isinstance(expression, pikepdf.Array):
            return not self.hides(expression, depth + 1)
        if depth > _DEEPEST or not len(expression):
            return True
        word, *parts = list(expression)
        values = [self._holds(part, depth + 1) for part in parts]
        if word == "/Not":
            return not any(values)
        return any(values) if word == "/Or" else all(values)

    def _apply_usage(self, config: Any) -> None:  # noqa: ANN401  # a dictionary
        """Apply the layers' view state, if the file asks for that."""
        for rule in _dictionaries(config.get("/AS")):
            if rule.get("/Event") != "/View":
                continue
            for layer in _dictionaries(rule.get("/OCGs")):
                state = layer.get("/Usage", pikepdf.Dictionary()).get("/View", pikepdf.Dictionary()).get("/ViewState")
                if state == "/OFF":
                    self.off.add(layer.objgen)
                elif state == "/ON":
                    self.off.discard(layer.objgen)


def _dictionaries(value: Any) -> Iterator[pikepdf.Dictionary]:  # noqa: ANN401  # an array, a dictionary or nothing
    if isinstance(value, pikepdf.Dictionary):
        yield value
    elif isinstance(value, pikepdf.Array):
        yield from (item for item in value if isinstance(item, pikepdf.Dictionary))


def _clean_page(pdf: pikepdf.Pdf, page: pikepdf.Page, layers: _Layers) -> None:
    if isinstance(annotations := page.obj.get("/Annots"), pikepdf.Array):
        shown = [annotation for annotation in annotations if not layers.hides(annotation.get("/OC"))]
        page.obj["/Annots"] = pikepdf.Array(shown)
    resources = page.obj.get("/Resources", pikepdf.Dictionary())
    page.obj["/Contents"] = pdf.make_stream(_visible(page, resources, layers))
    _clean_drawings(resources, layers, set(), 0)


def _clean_drawings(resources: Any, layers: _Layers, seen: set[tuple[int, int]], depth: int) -> None:  # noqa: ANN401
    """Clean the drawings of a page, and the drawings nested in them."""
    drawings: Any = resources.get("/XObject") if isinstance(resources, pikepdf.Dictionary) else None
    for name in list(drawings.keys()) if isinstance(drawings, pikepdf.Dictionary) else ():
        drawing = drawings[name]
        if not isinstance(drawing, pikepdf.Stream):
            continue
        if drawing.get("/Subtype") != "/Form" or drawing.objgen in seen or depth > _DEEPEST:
            continue
        seen.add(drawing.objgen)
        own = drawing.get("/Resources", resources)
        drawing.write(_visible(drawing, own, layers))
        _clean_drawings(own, layers, seen, depth + 1)


def _visible(content: Any, resources: Any, layers: _Layers) -> bytes:  # noqa: ANN401  # a page or a stream
    """Return a content stream without the text and drawings of hidden sections; other operators stay."""
    kept: list[Any] = []
    sections: list[bool] = []
    for operands, operator in pikepdf.parse_content_stream(content):
        name = str(operator)
        if name in {"BDC", "BMC"}:
            sections.append(name == "BDC" and _is_hidden_section(operands, resources, layers))
        elif name == "EMC" and sections:
            sections.pop()
        hidden = any(sections) or (name == "Do" and _is_hidden_drawing(operands, resources, layers))
        if not (hidden and name in _SHOWS_TEXT | _DRAWS):
            kept.append((operands, operator))
    written: bytes = pikepdf.unparse_content_stream(kept)
    return written


def _is_hidden_section(operands: Any, resources: Any, layers: _Layers) -> bool:  # noqa: ANN401
    if len(operands) != 2 or operands[0] != "/OC":  # noqa: PLR2004  # a tag and its properties
        return False
    owner = operands[1]
    if isinstance(owner, pikepdf.Name):
        owner = resources.get("/Properties", pikepdf.Dictionary()).get(str(owner))
    return layers.hides(owner)


def _is_hidden_drawing(operands: Any, resources: Any, layers: _Layers) -> bool:  # noqa: ANN401
    drawings = resources.get("/XObject", pikepdf.Dictionary())
    drawing = drawings.get(str(operands[0])) if operands else None
    return drawing is not None and layers.hides(drawing.get("/OC"))
