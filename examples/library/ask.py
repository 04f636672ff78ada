"""Ask the library's questions and show the cited answers: the end of ``make demo``.

Any program could do this: it finds its team by ``vellum.connect()`` and asks the KServe model over HTTP.
"""

from __future__ import annotations

import json
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

import vellum

QUESTIONS = Path(__file__).with_name("questions.yaml")
SHOWN = 3


def ask(url: str, question: str) -> dict[str, Any]:
    """Return the model's prediction by KServe's v1 protocol."""
    body = json.dumps({"instances": [{"question": question, "limit": 5}]}).encode()
    request = urllib.request.Request(  # noqa: S310  # the binding's own http address
        f"{url}/v1/models/search:predict", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # as above
        result: dict[str, Any] = json.load(answer)["predictions"][0]
    return result


def main() -> int:
    """Ask everything; end with 1 if fewer than three of four answers cite the right page."""
    url = str(vellum.connect().require("VELLUM_SEARCH_URL").VELLUM_SEARCH_URL)
    written = yaml.safe_load(QUESTIONS.read_text())
    asked = written["questions"]
    right = 0
    for number, entry in enumerate(asked):
        result = ask(url, entry["question"])
        answers = result["answers"] or result["near"]
        places = [(answer["document"], answer["page"]) for answer in answers]
        right += (entry["document"], entry["page"]) in places
        if number < SHOWN:
            print(f"\n{entry['question']}")
            if result["message"]:
                print(f"  ({result['message']}; nearest:)")
            for answer in answers[:2]:
                print(f"  {answer['document']}, page {answer['page']}: {' '.join(answer['snippet'].split())}")
    for entry in written["unanswerable"]:
        result = ask(url, entry["question"])
        print(f"\n{entry['question']}\n  {result['message'] or result['answers'][0]['snippet']}")
    print(f"\n{right} of {len(asked)} questions found the right page among the first five answers.")
    return 0 if right >= 0.75 * len(asked) else 1


if __name__ == "__main__":
    sys.exit(main())
