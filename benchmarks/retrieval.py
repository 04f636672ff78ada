"""How often does search find the right page? Asks a running endpoint questions whose page is known.

``python -m benchmarks retrieval`` starts an installation, ingests and asks. To ask one that runs already:
``python -m benchmarks.retrieval URL`` asks the outline titles of real manuals (see corpus.py);
``python -m benchmarks.retrieval URL --questions examples/library/questions.yaml`` asks what people ask.
URL is the team's search address, VELLUM_SEARCH_URL of its binding; the documents must have been ingested before.
"""

from __future__ import annotations

import argparse
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.request import Request, urlopen

from benchmarks import corpus
from benchmarks.documents import ingest
from benchmarks.figures import ROOT, Figure, installed

MANUALS = ("R-exts.pdf", "octave.pdf")
"""Manuals with a fine outline, whose titles are phrases and not names of functions alone."""
LIMIT = 10
BOUNDS = {"hit@5": 0.75, "MRR@10": 0.55}
"""The project's target for manuals that are asked their outline titles."""
_AT_ONCE = 32
"""Questions per request, the server's limit."""
_NUMBER = re.compile(r"^(Appendix )?([0-9]+|[A-Z])(\.[0-9]+)* ")


class Asked(NamedTuple):
    """One question and the pages that answer it, counted from 1; no pages: nothing answers it."""

    question: str
    document: str = ""
    pages: frozenset[int] = frozenset()


def questions() -> list[Asked]:
    """Return the outline titles of at least two words that occur once; the page of the entry and the next count."""
    results = [asked for path in corpus.fetch() if path.name in MANUALS for asked in _titles(path)]
    times = Counter(asked.question.lower() for asked in results)
    return [asked for asked in results if times[asked.question.lower()] == 1 and " " in asked.question]


def _titles(path: Path) -> Iterator[Asked]:
    import pypdfium2

    with pypdfium2.PdfDocument(path) as document:
        for entry in document.get_toc():
            target = entry.get_dest()
            if target is not None:
                page = target.get_index() + 1
                yield Asked(_NUMBER.sub("", entry.get_title()).strip(), path.name, frozenset({page, page + 1}))


def from_file(path: Path) -> list[Asked]:
    """Read questions in the form of examples/library/questions.yaml."""
    import yaml

    written = yaml.safe_load(path.read_text())
    known = [Asked(entry["question"], entry["document"], frozenset({entry["page"]})) for entry in written["questions"]]
    return known + [Asked(entry["question"]) for entry in written.get("unanswerable", ())]


def ranks(url: str, asked: Sequence[Asked]) -> list[int]:
    """Ask everything; return for each question the rank of the first right answer, 0 where none was right.

    For a question that nothing answers, silence is right and gets rank 1.

    Raises:
        urllib.error.URLError: the endpoint does not answer, or refuses.
    """
    results: list[int] = []
    for start in range(0, len(asked), _AT_ONCE):
        some = asked[start : start + _AT_ONCE]
        results += [_rank(item, prediction) for item, prediction in zip(some, _ask(url, some), strict=True)]
    return results


def _ask(url: str, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    body = {"instances": [{"question": item.question, "limit": LIMIT} for item in asked]}
    request = Request(
        f"{url.rstrip('/')}/v1/models/search:predict",
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urlopen(request, timeout=120) as response:
        return list(json.load(response)["predictions"])


def _rank(asked: Asked, prediction: dict[str, Any]) -> int:
    if not asked.pages:
        return 0 if prediction["answers"] else 1
    # What a user sees: the answers, or the nearest passages, marked as such.
    right = (
        number
        for number, answer in enumerate(prediction["answers"] or prediction["near"], 1)
        if Path(answer["document"]).name == asked.document and answer["page"] in asked.pages
    )
    return next(right, 0)


def scores(items: Sequence[int]) -> dict[str, float]:
    """Return hit@1, hit@5 and MRR@10 of ranks, each between 0 and 1."""
    count = len(items)
    return {
        "questions": count,
        "hit@1": round(sum(rank == 1 for rank in items) / count, 3),
        "hit@5": round(sum(1 <= rank <= 5 for rank in items) / count, 3),
        "MRR@10": round(sum(1 / rank for rank in items if rank) / count, 3),
    }


def measure() -> Iterator[Figure]:
    """Yield the figures of both collections, each in an installation of its own."""
    library = from_file(ROOT / "examples/library/questions.yaml")
    for name, folder, asked in (
        ("Outline titles of two manuals among 16", corpus.fetch()[0].parent, questions()),
        ("Questions about the example library", ROOT / "examples/library/pdf", library),
    ):
        with installed() as installation:
            ingest(installation, folder)
            result = ranks(installation.binding()["VELLUM_SEARCH_URL"], asked)
        for score, value in scores([rank for item, rank in zip(asked, result, strict=True) if item.pages]).items():
            bound = BOUNDS.get(score) if asked is not library else None
            yield Figure(f"{name}: {score}", value, "", bound, at_most=False)
        if silent := [rank for item, rank in zip(asked, result, strict=True) if not item.pages]:
            yield Figure(f"{name}: no answer where no page answers", sum(silent) / len(silent), "")


def main() -> None:
    """Ask an endpoint that runs already."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("url", help="the team's VELLUM_SEARCH_URL")
    parser.add_argument("--questions", type=Path, help="a file such as examples/library/questions.yaml")
    parser.add_argument("--misses", action="store_true", help="also print the questions without a right answer")
    given = parser.parse_args()
    asked = from_file(given.questions) if given.questions else questions()
    result = ranks(given.url, asked)
    print(json.dumps(scores([rank for item, rank in zip(asked, result, strict=True) if item.pages])))
    if silent := [rank for item, rank in zip(asked, result, strict=True) if not item.pages]:
        print(f"silent where nothing answers: {sum(silent)} of {len(silent)}")
    if given.misses:
        print("\n".join(item.question for item, rank in zip(asked, result, strict=True) if rank == 0))


if __name__ == "__main__":
    main()
