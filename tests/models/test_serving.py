"""The server of scikit-learn's models over HTTP: v1 and v2, clause by clause."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
import urllib.error
import urllib.request
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from tests.ingest.services import answers, free_port

pytestmark = pytest.mark.timeout(90)

ROWS, TARGET = load_iris(return_X_y=True)
TWO = np.stack([TARGET, (TARGET > 0).astype(int)], 1)
HOUSES = pd.DataFrame(
    {"city": ["Bonn", "Ulm", "Bonn", "Ulm"] * 5, "rooms": [1.0, 2.0, np.nan, 4.0] * 5, "floor": [0, 1, 2, 3] * 5}
)
GOOD = [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]


def _houses() -> Any:
    columns = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["city"]), (SimpleImputer(), ["rooms", "floor"])
    )
    return make_pipeline(columns, LogisticRegression()).fit(HOUSES, HOUSES["floor"] > 1)


class Server:
    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def __call__(self, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        sent = {
            "Content-Type": "application/json",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        request = urllib.request.Request(self.url + path, content, sent)
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                raw = answer.read()
                length = answer.headers.get("inference-header-content-length")
                return answer.status, json.loads(raw) if length is None else (
                    json.loads(raw[: int(length)]),
                    raw[int(length) :],
                )
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def infer(self, model: str, *inputs: dict[str, Any], **more: Any) -> tuple[int, Any]:
        return self(f"/v2/models/{model}/infer", {"inputs": list(inputs), **more})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("models")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        models = {
            "iris": LogisticRegression(max_iter=500).fit(ROWS, TARGET),
            "forest": RandomForestClassifier(10).fit(ROWS, np.array(["setosa", "versicolor", "virginica"])[TARGET]),
            "several": MultiOutputClassifier(LogisticRegression(max_iter=500)).fit(ROWS, TWO),
            "forests": RandomForestClassifier(10).fit(ROWS, TWO),
            "chain": ClassifierChain(LogisticRegression(max_iter=500)).fit(ROWS, (TWO > 0).astype(int)),
            "line": LinearRegression().fit(ROWS, TARGET),
            "texts": make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(
                ["a cat", "a dog"] * 5, ["cat", "dog"] * 5
            ),
            "houses": _houses(),
        }
    for name, model in models.items():
        (folder / f"{name}.skops").write_bytes(skops.io.dumps(model))
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("several.py")), str(folder), str(port)],
        env={"VELLUM_BIND": "127.0.0.1", "PATH": ""},
    )
    answers(f"http://127.0.0.1:{port}/v2/health/ready", process)
    yield Server(port)
    process.terminate()
    process.wait()


def tensor(data: Any, shape: list[int], datatype: str = "FP64", name: str = "input") -> dict[str, Any]:
    return {"name": name, "shape": shape, "datatype": datatype, "data": data}


METADATA = {
    "iris": ([("input", "FP64", [-1, 4])], [("label", "INT64", [-1]), ("probability", "FP64", [-1])]),
    "forest": ([("input", "FP64", [-1, 4])], [("label", "BYTES", [-1]), ("probability", "FP64", [-1])]),
    "several": ([("input", "FP64", [-1, 4])], [("label", "INT64", [-1, 2]), ("probability", "FP64", [-1, 2])]),
    "line": ([("input", "FP64", [-1, 4])], [("label", "FP64", [-1])]),
    "texts": ([("input", "BYTES", [-1])], [("label", "BYTES", [-1]), ("probability", "FP64", [-1])]),
    "houses": (
        [("city", "BYTES", [-1]), ("rooms", "FP64", [-1]), ("floor", "FP64", [-1])],
        [("label", "BOOL", [-1]), ("probability", "FP64", [-1])],
    ),
}


@pytest.mark.parametrize("model", METADATA)
def test_metadata_names_the_tensors_a_model_takes_and_gives(server: Server, model: str) -> None:
    status, text = server(f"/v2/models/{model}")
    inputs, outputs = (
        [(item["name"], item["datatype"], item["shape"]) for item in text[side]] for side in ("inputs", "outputs")
    )
    assert (status, (inputs, outputs)) == (200, METADATA[model])


@pytest.mark.parametrize("model", ["iris", "forest", "several", "forests", "chain", "line"])
def test_v2_answers_what_v1_answers_in_the_shape_of_the_labels(server: Server, model: str) -> None:
    status, first = server(f"/v1/models/{model}:predict", {"instances": GOOD})
    assert status == 200
    status, second = server.infer(model, tensor(GOOD, [2, 4]), id="mine")
    assert (status, second["id"]) == (200, "mine")
    by_name = {output["name"]: output for output in second["outputs"]}
    assert by_name["label"]["shape"] == list(np.shape(first["predictions"]))
    assert by_name["label"]["data"] == np.ravel(first["predictions"]).tolist()
    if "probability" in by_name:
        assert by_name["probability"]["shape"] == by_name["label"]["shape"]
        assert all(0 < item <= 1 for item in by_name["probability"]["data"])


def test_a_table_with_names_takes_objects_mixed_rows_and_columns(server: Server) -> None:
    rows: list[list[Any]] = [["Bonn", 2, 3], ["Rome", None, 0]]
    dicts = [dict(zip(HOUSES.columns, row, strict=True)) for row in rows]
    answers_ = [server("/v1/models/houses:predict", {"instances": item}) for item in (rows, dicts)]
    columns = [
        tensor(["Bonn", "Rome"], [2], "BYTES", "city"),
        tensor([2.0, None], [2], "FP64", "rooms"),
        tensor([3, 0], [2, 1], "INT64", "floor"),
    ]
    status, second = server.infer("houses", *columns)
    assert answers_ == [(200, {"predictions": [True, False]})] * 2
    assert (status, second["outputs"][0]["data"]) == (200, [True, False])
    assert server("/v1/models/houses:predict", {"instances": [{"city": "Bonn", "room": 2, "floor": 0}]}) == (
        400,
        {"error": "instance 0 lacks rooms and has unknown room; the model takes city, rooms, floor"},
    )


def test_binary_tensors_go_in_and_out_as_the_request_asks(server: Server) -> None:
    raw = np.asarray(GOOD).tobytes()
    head = {
        "inputs": [
            {"name": "input", "shape": [2, 4], "datatype": "FP64", "parameters": {"binary_data_size": len(raw)}}
        ],
        "outputs": [{"name": "probability", "parameters": {"binary_data": True}}, {"name": "label"}],
    }
    content = json.dumps(head).encode()
    sent = {"Content_Type": "application/octet-stream", "Inference_Header_Content_Length": str(len(content))}
    status, (text, binary) = server("/v2/models/iris/infer", content + raw, **sent)
    _, plain = server.infer("iris", tensor(GOOD, [2, 4]))
    assert status == 200
    assert [output["name"] for output in text["outputs"]] == ["probability", "label"]
    assert text["outputs"][1]["data"] == plain["outputs"][0]["data"]
    assert np.frombuffer(binary).tolist() == plain["outputs"][1]["data"]
    for body, length in (
        (content + raw[:-1], len(content)),
        (content + raw + b"x", len(content)),
        (content, 10**9),
        (content, "x"),
    ):
        sent["Inference_Header_Content_Length"] = str(length)
        assert server("/v2/models/iris/infer", body, **sent)[0] == 400


def test_only_the_outputs_that_a_request_names_are_sent(server: Server) -> None:
    status, text = server.infer("iris", tensor(GOOD, [2, 4]), outputs=[{"name": "label"}])
    assert (status, [output["name"] for output in text["outputs"]]) == (200, ["label"])
    assert server.infer("iris", tensor(GOOD, [2, 4]), outputs=[{"name": "score"}]) == (
        400,
        {"error": "the model has no output score; its outputs are label, probability"},
    )


REFUSED = {
    "too few values": tensor(GOOD[:1], [2, 4]),
    "a negative size": tensor(GOOD, [-1, 4]),
    "another width": tensor([[1, 2]], [1, 2]),
    "one dimension": tensor([1, 2, 3, 4], [4]),
    "a text as a number": tensor([["1", "2", "3", "4"]], [1, 4]),
    "a truth as a number": tensor([[True, True, True, True]], [1, 4]),
    "a number that does not fit": tensor([[300, 1, 1, 1]], [1, 4], "UINT8"),
    "an unknown datatype": tensor(GOOD, [2, 4], "FLOAT"),
    "texts": tensor(["a"], [1], "BYTES"),
    "no rows": tensor([], [0, 4]),
    "half floats in JSON": tensor(GOOD, [2, 4], "FP16"),
    "a missing value that the model does not take": tensor([[None, 1, 1, 1]], [1, 4]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_tensor_that_contradicts_itself_or_the_model_is_refused(server: Server, case: str) -> None:
    status, text = server.infer("iris", REFUSED[case])
    assert status == 400
    assert text["error"]


BODIES: list[Any] = [
    {},
    [],
    b"null",
    b"{",
    5,
    "text",
    {"instances": []},
    {"instances": {}},
    {"instances": [5, 6]},
    {"instances": [[1, 2]]},
    {"instances": [[1, 2, 3, 4], [1]]},
    {"instances": [[[1], 2, 3, 4]]},
    {"instances": [{"a": 1}]},
    {"instances": ["a"]},
    {"instances": [[10**400, 1, 1, 1]]},
    {"instances": [GOOD[0]] * 4097},
]


MISSING = "the header Content-Type is missing; send Content-Type: application/json"
PLAIN = "Content-Type is 'text/plain'; send Content-Type: application/json"
BINARY = "; a body with binary tensors also needs inference-header-content-length"


@pytest.mark.parametrize(
    ("sent", "v1", "v2"),
    [
        ({}, "", MISSING + BINARY),
        ({"Content-Type": ""}, "", MISSING + BINARY),
        ({"Content-Type": "text/plain"}, PLAIN, PLAIN + BINARY),
        ({"Content-Type": "Application/JSON; charset=utf-8"}, "", ""),
    ],
)
def test_a_refused_content_type_is_named(server: Server, sent: dict[str, str], v1: str, v2: str) -> None:
    bodies: dict[str, tuple[Any, str]] = {
        "/v1/models/iris:predict": ({"instances": GOOD}, v1),
        "/v2/models/iris/infer": ({"inputs": [tensor(GOOD[0], [1, 4])]}, v2),
    }
    for path, (body, wrong) in bodies.items():
        with contextlib.closing(http.client.HTTPConnection(server.url.removeprefix("http://"))) as connection:
            connection.request("POST", path, json.dumps(body), sent)
            answer = connection.getresponse()
            output = json.loads(answer.read())
        assert (answer.status, output.get("error", "")) == (400 if wrong else 200, wrong), (path, output)


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_v1_body_of_another_form_is_refused(server: Server, number: int) -> None:
    status, text = server("/v1/models/iris:predict", BODIES[number])
    assert status == 400
    assert text["error"]
