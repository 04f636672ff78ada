"""Questions to the predictor, over KServe's two protocols."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.ingest.papers import write
from tests.ingest.services import KEY
from tests.search.conftest import MANUAL, Predictor

from vellum.workloads.ingest import ledger
from vellum.workloads.vectors import Qdrant

pytestmark = [pytest.mark.laptop, pytest.mark.timeout(60)]


def places(prediction: dict[str, Any]) -> list[tuple[str, int]]:
    return [(answer["document"], answer["page"]) for answer in prediction["answers"]]


@pytest.mark.parametrize(
    ("question", "page"),
    [
        ("how far is the lantern of a lighthouse seen?", 1),
        ("Who winds the clockwork", 2),
        ("what signal is sounded in fog", 3),
        ("when does the supply boat bring oil", 4),
    ],
)
def test_an_answer_cites_the_document_and_the_page(manual: Predictor, question: str, page: int) -> None:
    assert places(manual.ask(question))[0] == ("lighthouse.pdf", page)


def test_a_prediction_has_the_question_the_answers_and_no_message(manual: Predictor) -> None:
    prediction = manual.ask("winds the clockwork")
    score = prediction["answers"][0].pop("score")
    assert score > 0
    assert prediction == {
        "question": "winds the clockwork",
        "answers": [
            {
                "document": "lighthouse.pdf",
                "page": 2,
                "snippet": "The keeper winds the clockwork every four hours and writes the weather into the journal.",
            }
        ],
        "near": [],
        "message": "",
    }


@pytest.mark.parametrize(
    "question",
    [
        "who won the world cup in 1998",
        "how do I renew my passport in winter",
        "best recipe for bread with chocolate",
        "mortgage rates for a harbour house",
    ],
)
def test_what_no_document_answers_gets_no_answer_and_says_so(manual: Predictor, question: str) -> None:
    prediction = manual.ask(question)
    assert (prediction["answers"], prediction["near"]) == ([], [])
    assert prediction["message"].startswith("nothing relevant was found: no indexed document mentions ")


def test_a_partial_answer_is_shown_as_near(manual: Predictor) -> None:
    """A passage that answers a part of the question is near, but not an answer."""
    prediction = manual.ask("which passengers does the supply boat take")
    near = [(item["document"], item["page"]) for item in prediction["near"]]
    assert (prediction["answers"], near) == ([], [("lighthouse.pdf", 4)])
    assert prediction["message"] == "nothing relevant was found: no indexed document mentions passengers, take"


def test_words_that_follow_each_other_as_in_the_question_come_first(fresh: Predictor, tmp_path: Path) -> None:
    write(
        tmp_path / "a.pdf",
        [
            "A door, a door that is red; beside the red door burns a small fire; the fire is red, the door is red.",
            "Every house has a red fire door, which is inspected once a year by the brigade.",
        ],
    )
    fresh.team.ingest(tmp_path)
    assert [page for _, page in places(fresh.ask("red fire door"))] == [2, 1]


def test_a_table_of_contents_comes_after_what_it_points_to(fresh: Predictor, tmp_path: Path) -> None:
    lines = [f"{title} . . . . . . . . . . {page}" for page, title in enumerate(("Grease", "Bearings", "Pump seal"), 2)]
    write(tmp_path / "a.pdf", [" ".join(lines), "How the pump seal is changed: drain the housing and lift the cap."])
    fresh.team.ingest(tmp_path)
    assert [page for _, page in places(fresh.ask("pump seal"))] == [2, 1]


def test_words_that_never_stand_together_are_no_answer(manual: Predictor) -> None:
    prediction = manual.ask("clockwork horn ice bread lantern")
    assert prediction["answers"] == []
    assert "together" in prediction["message"]


@pytest.mark.parametrize("question", ["who is it", "?!", "… — …", "the"])
def test_a_question_of_common_words_only_is_told_to_name_something(manual: Predictor, question: str) -> None:
    assert manual.ask(question)["message"] == "the question has only common words; name what you are looking for"


def test_the_limit_bounds_the_answers(manual: Predictor) -> None:
    assert len(manual.ask("seen", limit=1)["answers"]) == 1
    assert len(manual.ask("seen", limit=50)["answers"]) == 2


def test_many_questions_are_answered_in_their_order(manual: Predictor) -> None:
    questions = ["clockwork", "horn", "lantern", "oil"]
    body = {"instances": [{"question": question} for question in questions]}
    _, answer = manual.post("/v1/models/search:predict", body)
    assert [prediction["question"] for prediction in answer["predictions"]] == questions
    assert [places(prediction)[0][1] for prediction in answer["predictions"]] == [2, 3, 1, 4]


def test_the_v2_protocol_gives_the_same_answers(manual: Predictor) -> None:
    body = {
        "id": "7",
        "inputs": [
            {"name": "question", "datatype": "BYTES", "shape": [2], "data": ["clockwork", "seen"]},
            {"name": "limit", "datatype": "INT32", "shape": [2], "data": [5, 1]},
        ],
    }
    status, answer = manual.post("/v2/models/search/infer", body)
    (output,) = answer["outputs"]
    assert (status, answer["id"], output["name"], output["datatype"], output["shape"]) == (
        200,
        "7",
        "answer",
        "BYTES",
        [2],
    )
    assert [json.loads(each) for each in output["data"]] == [manual.ask("clockwork"), manual.ask("seen", limit=1)]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("a JSON string", "send a JSON object"),
        ([1, 2], "send a JSON object"),
        (None, "send a JSON object"),
        (5, "send a JSON object"),
        ({}, "send a JSON object"),
        ({"instances": "x"}, "send a JSON object"),
        ({"instances": []}, "ask 1 to 32 questions"),
        ({"instances": [{"question": "x"}] * 33}, "ask 1 to 32 questions"),
        ({"instances": ["x"]}, "instances[0] must be an object"),
        ({"instances": [{}]}, "instances[0] has no question"),
        ({"instances": [{"question": ""}]}, "the question is empty"),
        ({"instances": [{"question": " \n"}]}, "the question is empty"),
        ({"instances": [{"question": 5}]}, "the question must be text"),
        ({"instances": [{"question": "x" * 2001}]}, "2,001 characters"),
        ({"instances": [{"question": "x"}, {"question": "x", "limit": 0}]}, "instances[1]: limit must be"),
        ({"instances": [{"question": "x", "limit": 51}]}, "from 1 to 50"),
        ({"instances": [{"question": "x", "limit": True}]}, "from 1 to 50"),
        ({"instances": [{"question": "x", "limit": "5"}]}, "from 1 to 50"),
        ({"instances": [{"question": "x", "limit": 1.5}]}, "from 1 to 50"),
        ({"instances": [{"question": "x", "top": 5}]}, "unknown fields: top"),
        (b"{", "Unrecognized request format"),
        (b"\xff\xfe", "Unrecognized request format"),
        (b"", "Unrecognized request format"),
    ],
)
def test_a_bad_v1_request_is_refused_in_words(manual: Predictor, body: object, words: str) -> None:
    status, answer = manual.post("/v1/models/search:predict", body)
    assert (status, words in answer["error"]) == (400, True), answer


QUESTION = {"name": "question", "datatype": "BYTES", "shape": [1], "data": ["x"]}


@pytest.mark.parametrize(
    "body",
    [
        "a JSON string",
        [],
        {},
        {"inputs": []},
        {"inputs": [5]},
        {"inputs": [{**QUESTION, "name": "other"}]},
        {"inputs": [{**QUESTION, "datatype": "INT32", "data": [1]}]},
        {"inputs": [{**QUESTION, "data": [5]}]},
        {"inputs": [{**QUESTION, "data": ["x", "y"], "shape": [7]}]},
        {"inputs": [{**QUESTION, "data": []}]},
        {"inputs": [{**QUESTION, "data": ["\ud800 lantern"]}]},
        {"inputs": [QUESTION, {"name": "limit", "datatype": "INT32", "shape": [1], "data": [99]}]},
        {"inputs": [QUESTION, {"name": "limit", "datatype": "FP32", "shape": [1], "data": [1.0]}]},
        {"inputs": [QUESTION, {"name": "limit", "datatype": "INT32", "shape": [2], "data": [1, 2]}]},
        b"{",
    ],
)
def test_a_bad_v2_request_is_refused_in_words(manual: Predictor, body: object) -> None:
    status, answer = manual.post("/v2/models/search/infer", body)
    assert (status, bool(answer["error"])) == (400, True), answer


@pytest.mark.parametrize("kind", ["text/plain", "application/octet-stream", "application/x-www-form-urlencoded", ""])
def test_another_content_type_is_no_server_error(manual: Predictor, kind: str) -> None:
    for path in ("/v1/models/search:predict", "/v2/models/search/infer"):
        status, _ = manual.post(path, b'{"instances": [{"question": "x"}]}', {"content-type": kind})
        assert status in (200, 400), path


def hosts_answered(predictor: Predictor, names: Sequence[str]) -> list[str]:
    """Return the names to which the model answers a question in either protocol."""
    asked = (
        ("/v1/models/search:predict", {"instances": [{"question": "clockwork"}]}),
        ("/v2/models/search/infer", {"inputs": [{**QUESTION, "data": ["clockwork"]}]}),
    )
    results = []
    for name in names:
        headers = {"content-type": "application/json", "Host": name}
        answers = [predictor.post(path, body, headers) for path, body in asked]
        assert {status for status, _ in answers} in ({200}, {421}), name
        assert all(("clockwork" in json.dumps(answer)) == (status == 200) for status, answer in answers), name
        results += [name] if answers[0][0] == 200 else []
    return results


def test_a_web_page_that_points_its_own_name_here_reads_nothing(manual: Predictor) -> None:
    port = manual.port
    own = [f"127.0.0.1:{port}", "127.0.0.1", f"localhost:{port}", "LOCALHOST", "[::1]", f"[::1]:{port}"]
    strange = [
        f"evil.example:{port}",
        "evil.example",
        f"127.0.0.1.evil.example:{port}",
        "localhost.evil.example",
        "",
        "evil.example:127.0.0.1",
        "127.0.0.1:x",
        "[::1].evil.example",
        f"0.0.0.0:{port}",
    ]
    assert hosts_answered(manual, own + strange) == own
    _, refusal = manual.post("/v1/models/search:predict", {}, {"Host": "evil.example"})
    assert "127.0.0.1, localhost and [::1]" in refusal["error"]


def test_in_a_pod_the_model_answers_to_every_name_of_its_service(in_a_pod: Predictor) -> None:
    names = ["search-predictor.team-a.svc.cluster.local", "10.1.2.3:8080", "127.0.0.1"]
    assert hosts_answered(in_a_pod, names) == names


def test_nothing_indexed_yet_is_said_and_the_first_ingest_changes_it(fresh: Predictor, tmp_path: Path) -> None:
    assert fresh.ask("lantern") == {
        "question": "lantern",
        "answers": [],
        "near": [],
        "message": "no documents are indexed yet; run vellum ingest DIR",
    }
    write(tmp_path / "a.pdf", ["A lantern is a lamp."])
    fresh.team.ingest(tmp_path)
    assert places(fresh.ask("lantern")) == [("a.pdf", 1)]


def test_the_predictor_is_ready_before_its_binding_is_and_follows_it(fresh: Predictor) -> None:
    url = (fresh.team.binding / "QDRANT_URL").read_text()
    (fresh.team.binding / "QDRANT_URL").unlink()
    with urllib.request.urlopen(f"http://127.0.0.1:{fresh.port}/v2/models/search/ready") as answer:
        assert json.load(answer)["ready"] is True
    assert fresh.ask("lantern")["message"] == "the team's vectors are not ready yet; run vellum status"
    fresh.team.bind("QDRANT_URL", url)
    assert "vellum ingest" in fresh.ask("lantern")["message"]


def test_a_document_that_is_not_whole_is_never_an_answer(fresh: Predictor, tmp_path: Path) -> None:
    write(tmp_path / "a.pdf", ["A lantern is a lamp."])
    fresh.team.ingest(tmp_path)
    half = {
        "id": 1,
        "vector": {"bm25": {"indices": [1], "values": [1.0]}},
        "payload": {
            "document": "half.pdf",
            "document_id": "x",
            "page": 1,
            "offset": 0,
            "text": "lantern",
            "first": True,
        },
    }
    (whole,) = fresh.team.points()
    _, result = fresh.team.call("POST", "/points", {"ids": [whole["id"]], "with_vector": True})
    half["vector"] = result["result"][0]["vector"]
    fresh.team.call("PUT", "/points?wait=true", {"points": [half]})
    assert places(fresh.ask("lantern")) == [("a.pdf", 1)]


def test_search_reports_a_qdrant_that_is_down_and_recovers(fresh: Predictor, tmp_path: Path) -> None:
    """The next question after Qdrant is back is answered."""
    write(tmp_path / "a.pdf", ["A lantern is a lamp."])
    fresh.team.ingest(tmp_path)
    fresh.ask("lantern")
    fresh.team.kill_qdrant()
    status, answer = fresh.post("/v1/models/search:predict", {"instances": [{"question": "lantern"}]})
    assert (status, answer["code"]) == (503, "VEL531")
    assert "vellum status" in answer["fix"]
    fresh.team.start_qdrant()
    assert places(fresh.ask("lantern")) == [("a.pdf", 1)]


def test_a_wrong_key_is_told_and_a_new_one_is_used_at_once(fresh: Predictor) -> None:
    key = (fresh.team.binding / "QDRANT_API_KEY").read_text()
    fresh.team.bind("QDRANT_API_KEY", "old")
    status, answer = fresh.post("/v1/models/search:predict", {"instances": [{"question": "lantern"}]})
    assert (status, answer["code"]) == (503, "VEL532")
    assert key not in json.dumps(answer)
    fresh.team.bind("QDRANT_API_KEY", key)
    assert "vellum ingest" in fresh.ask("lantern")["message"]


def test_a_no_says_that_an_older_version_indexed_documents(fresh: Predictor) -> None:
    """Its words may be in another form, so "not found" may be wrong until it is ingested again."""
    papers = fresh.team.root / "papers"
    write(papers / "lighthouse.pdf", MANUAL)
    fresh.team.ingest(papers)
    qdrant = Qdrant(f"http://127.0.0.1:{fresh.team.port}", KEY)
    (entry,) = ledger.read(qdrant).values()
    assert fresh.ask("zyzzyva")["message"] == "nothing relevant was found: no indexed document mentions zyzzyva"
    old = {key: value for key, value in entry.payload().items() if key != "form"}
    body = {"payload": {"entry": old}, "filter": {"must": [{"has_id": [entry.point]}]}}
    qdrant.call("POST", "/points/payload?wait=true", body)
    qdrant.close()
    assert fresh.ask("zyzzyva")["message"] == (
        "nothing relevant was found: no indexed document mentions zyzzyva; an older version of Vellum indexed 1 document, "
        "whose words may be missed: ingest them again"
    )
