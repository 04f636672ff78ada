"""Cut pages into passages of at most 1,000 characters, at the best boundary below that, with their offsets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from pathlib import Path

import orjson
from semantic_text_splitter import TextSplitter

MAX_CHARACTERS = 1000


def chunk(pages: Path, passages: Path, documents: Collection[str]) -> Counter[str]:
    """Write the passages of ``documents`` and return how many each has.

    Pages are read and written one at a time: memory does not grow with the folder. A passage never crosses a page,
    because a citation names one page.

    Args:
        pages: The folder that the extract step wrote, one JSON line a page.
        passages: The file to write, one JSON line a passage: document_id, page, offset, text.
        documents: Ids of the documents that may be indexed.
    """
    splitter = TextSplitter(MAX_CHARACTERS)
    counts: Counter[str] = Counter()
    with passages.open("wb") as output:
        for part in sorted(pages.glob("*.jsonl")):
            with part.open("rb") as lines:
                for line in lines:
                    page = orjson.loads(line)
                    if page["document_id"] not in documents:
                        break
                    for offset, text in splitter.chunk_indices(page["text"]):
                        row = {"document_id": page["document_id"], "page": page["page"], "offset": offset, "text": text}
                        output.write(orjson.dumps(row) + b"\n")
                        counts[page["document_id"]] += 1
    return counts
