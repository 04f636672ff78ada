"""Search finds the text that a PDF reader shows, however the PDF stores it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pikepdf
import pytest
from pikepdf import Array, Dictionary, Name
from tests.ingest.papers import write
from tests.ingest.services import Team, team_in
from tests.search.conftest import Predictor

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(120)]
CASES = Path(__file__).parent.parent / "ingest" / "cases"
ASKED = [
    ("pdf_cjk_words", "系统漏洞", 1),
    ("pdf_cjk_words", "蓝色滤芯", 1),
    ("pdf_cjk_words", "温度传感器", 1),
    ("pdf_cjk_words", "レンズ", 2),
    ("pdf_cjk_words", "有毒", 2),
    ("pdf_decomposed_accents", "Université de Besançon", 1),
    ("pdf_decomposed_accents", "universite besancon", 1),
    ("pdf_decomposed_accents", "Möbelgeschäfte", 1),
    ("pdf_decomposed_accents", "máy bơm nước", 1),
    ("pdf_form_values", "KX-44871-PLATYPUS", 1),
    ("pdf_form_values", "thunderstorm flooded the cassowary enclosure", 1),
    ("pdf_hidden_layer", "numbat pump filter ninety days", 1),
    ("pdf_hyphen_line_end", "zeppelin expenses permitted", 1),
    ("pdf_hyphen_line_end", "long-term hangar", 1),
    ("pdf_hyphen_line_end", "self-hosted depot", 1),
    ("pdf_hyphen_line_end", "spare valve X-200", 1),
    ("pdf_hyphen_line_end", "COVID-19 kit", 1),
    ("pdf_hyphen_line_end", "well-known quokka", 1),
    ("note", "aardvark invoice", 1),
    ("cropped", "okapi ledger", 1),
    ("shown-layer", "dugong timetable", 1),
    ("drawing", "tapir schedule", 1),
]
HIDDEN = ["superseded draft", "narwhal outside", "quagga hidden", "ocelot hidden", "margay hidden"]


def layered(path: Path) -> None:
    """Write layers that are on, off, off by an expression, and off around a drawing."""
    write(path, ["The dugong timetable is kept in the harbour office."])
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        on, off = (pdf.make_indirect(Dictionary(Type=Name.OCG, Name=name)) for name in ("on", "off"))
        pdf.Root.OCProperties = Dictionary(OCGs=Array([on, off]), D=Dictionary(OFF=Array([off])))
        both = Dictionary(Type=Name.OCMD, OCGs=Array([on, off]), P=Name.AllOn)
        page = pdf.pages[0]
        font = pdf.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
        fonts = Dictionary(Font=Dictionary(F=font))

        def drawing(text: bytes, **more: object) -> pikepdf.Stream:
            content = b"BT /F 12 Tf 60 %d Td (%s) Tj ET" % (500, text)
            return pdf.make_stream(
                content, Type=Name.XObject, Subtype=Name.Form, BBox=[0, 0, 600, 800], Resources=fonts, **more
            )

        page.Resources.Properties = Dictionary(On=on, Both=both)
        page.Resources.XObject = Dictionary(
            Shown=drawing(b"A tapir schedule hangs beside it."), Hidden=drawing(b"An ocelot hidden note.", OC=off)
        )
        page.Resources.Font.F = font
        more = b"""
            /OC /Both BDC BT /F 12 Tf 60 700 Td (The quagga hidden note.) Tj ET EMC
            /OC /On BDC /Shown Do /Hidden Do EMC
        """
        page.contents_add(pdf.make_stream(more))
        note = pdf.make_stream(
            b"BT /F 12 Tf 0 0 Td (A margay hidden remark.) Tj ET",
            Type=Name.XObject,
            Subtype=Name.Form,
            BBox=[0, 0, 200, 20],
            Resources=fonts,
        )
        page.Annots = Array(
            [
                Dictionary(
                    Type=Name.Annot, Subtype=Name.Stamp, Rect=[60, 400, 260, 420], AP=Dictionary(N=note), OC=off, F=4
                )
            ]
        )
        pdf.save()


def noted(path: Path) -> None:
    """Write a note that a reader typed onto the page."""
    write(path, ["A letter."])
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        font = pdf.make_indirect(Dictionary(Type=Name.Font, Subtype=Name.Type1, BaseFont=Name.Helvetica))
        look = pdf.make_stream(
            b"BT /F 12 Tf 2 5 Td (The aardvark invoice was paid twice.) Tj ET",
            Type=Name.XObject,
            Subtype=Name.Form,
            BBox=[0, 0, 300, 20],
            Resources=Dictionary(Font=Dictionary(F=font)),
        )
        note = Dictionary(
            Type=Name.Annot, Subtype=Name.FreeText, Rect=[60, 600, 360, 620], Contents="x", F=4, AP=Dictionary(N=look)
        )
        pdf.pages[0].Annots = Array([note])
        pdf.save()


def cropped(path: Path) -> None:
    """Write a page whose lower half is cut off."""
    write(path, ["The okapi ledger is blue."])
    with pikepdf.open(path, allow_overwriting_input=True) as pdf:
        page = pdf.pages[0]
        page.contents_add(pdf.make_stream(b"BT /F1 12 Tf 60 100 Td (The narwhal outside is not shown.) Tj ET"))
        page.CropBox = Array([0, 400, 595, 842])
        pdf.save()


@pytest.fixture(scope="module")
def predictor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Predictor]:
    for team in team_in(tmp_path_factory.mktemp("team")):
        folder = tmp_path_factory.mktemp("papers")
        for case in CASES.glob("*.pdf"):
            (folder / case.name).write_bytes(case.read_bytes())
        layered(folder / "shown-layer.pdf")
        (folder / "drawing.pdf").write_bytes((folder / "shown-layer.pdf").read_bytes())
        noted(folder / "note.pdf")
        cropped(folder / "cropped.pdf")
        ingested(team, folder)
        started = Predictor(team)
        yield started
        started.stop()


def ingested(team: Team, folder: Path) -> None:
    verdicts = {event["document"]: event["verdict"] for event in team.ingest(folder) if event["event"] == "file"}
    assert set(verdicts.values()) == {"ok"}, verdicts


@pytest.mark.parametrize(("document", "question", "page"), ASKED)
def test_a_word_of_the_page_finds_its_document_and_page(
    predictor: Predictor, document: str, question: str, page: int
) -> None:
    cited = {(answer["document"].removesuffix(".pdf"), answer["page"]) for answer in predictor.ask(question)["answers"]}
    same = {"drawing": "shown-layer", "shown-layer": "drawing"}
    assert (document, page) in cited or (same.get(document), page) in cited


@pytest.mark.parametrize("question", HIDDEN)
def test_what_no_reader_shows_is_not_cited(predictor: Predictor, question: str) -> None:
    text = predictor.ask(question)
    first, second = question.split()
    snippets = " ".join(answer["snippet"].lower() for answer in text["answers"] + text["near"])
    assert first not in snippets
    assert not text["answers"] or second in snippets


def test_a_snippet_shows_a_divided_word_as_the_page_does(predictor: Predictor) -> None:
    (answer,) = predictor.ask("zeppelin expenses permitted")["answers"]
    assert "permit-ted when the owner stores the hull in a long-term hangar" in answer["snippet"]
    assert "\u200b" not in answer["snippet"]


def test_the_no_of_search_names_only_words_that_no_document_has(predictor: Predictor) -> None:
    assert predictor.ask("Université zzyzx")["message"].endswith("no indexed document mentions zzyzx")
