"""PDFs made by the tests: good ones, and every kind of bad one that users have."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pikepdf
import pypdfium2
from pikepdf import Dictionary, Name
from reportlab.pdfgen.canvas import Canvas

_WORDS = [
    "river",
    "mountain",
    "harbour",
    "lantern",
    "copper",
    "meadow",
    "winter",
    "signal",
    "garden",
    "engine",
    "bridge",
    "paper",
    "window",
    "forest",
]


def prose(number: int, words: int = 220) -> str:
    """Return text that is the same for the same number and differs between numbers."""
    chosen = (_WORDS[(number * 7 + at * (number % 5 + 1)) % len(_WORDS)] for at in range(words))
    return f"Section {number} marker{number}. " + " ".join(chosen) + "."


def write(path: Path, pages: Sequence[str]) -> Path:
    """Write one page for each text, in lines of about 90 characters."""
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = Canvas(str(path), invariant=True)
    for text in pages:
        lines = canvas.beginText(60, 780)
        words, line = text.split(), ""
        for word in words:
            if len(line) + len(word) > 85:
                lines.textLine(line)
                line = ""
            line = f"{line} {word}".strip()
        lines.textLine(line)
        canvas.drawText(lines)
        canvas.showPage()
    canvas.save()
    return path


def book(path: Path, pages: int, first: int = 0) -> Path:
    """Write a file of prose."""
    return write(path, [prose(first + number) for number in range(pages)])


def every_kind(folder: Path) -> None:
    """Write one file of every kind."""
    plain = book(folder / "plain.pdf", 3)
    content = plain.read_bytes()
    with pikepdf.open(plain) as pdf:
        for name, user in (("locked", "secret"), ("owner-only", "")):
            pdf.save(folder / f"{name}.pdf", encryption=pikepdf.Encryption(owner="o", user=user, R=6))
    book(folder / "deep" / "er" / "BOOK.PDF", 2, first=100)
    (folder / "truncated.pdf").write_bytes(content[: len(content) // 2])
    (folder / "garbage.pdf").write_bytes(b"%PDF-1.7\n" + bytes(range(256)) * 40)
    (folder / "empty.pdf").write_bytes(b"")
    (folder / "notes.txt").write_text("not a PDF")
    scan(folder / "scan.pdf", plain)
    break_pages(book(folder / "half.pdf", 4, first=200), [1, 3])
    break_pages(book(folder / "none.pdf", 2, first=300), [0, 1])


def endless(path: Path) -> Path:
    """Write 3 KB whose one page keeps PDFium at work for half an hour: a million bytes of nothing, drawn 100,000 times."""
    pdf = pikepdf.new()
    pdf.add_blank_page(page_size=(200, 200))
    drawn = pdf.make_stream(b"q Q " * 250_000, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 200, 200])
    pdf.pages[0].Resources = Dictionary(XObject=Dictionary(X=drawn))
    pdf.pages[0].Contents = pdf.make_stream(b"/X Do " * 100_000)
    pdf.save(path)
    return path


def scan(path: Path, source: Path) -> None:
    """Write the pages as images only."""
    with pypdfium2.PdfDocument(source) as document:
        images = [page.render(scale=1, grayscale=True).to_pil() for page in document]
    images[0].save(path, save_all=True, append_images=images[1:])


def break_pages(path: Path, numbers: Sequence[int]) -> None:
    """Make pages (from 0) point at object 0, which is always free; every offset stays."""
    content = path.read_bytes()
    listed = re.search(rb"/Kids \[(.*?)\]", content, re.DOTALL)
    assert listed is not None
    kids = list(re.finditer(rb"(\d+) 0 R", listed[1]))
    for number in numbers:
        start = listed.start(1) + kids[number].start(1)
        length = len(kids[number][1])
        content = content[:start] + b"0" * length + content[start + length :]
    path.write_bytes(content)
