"""The KServe model ``search``; all models share the server around it."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import orjson
from kserve import InferOutput, InferRequest, Model
from kserve.errors import InvalidInput

from vellum.workloads import serving
from vellum.workloads.search.answers import Searcher
from vellum.workloads.search.question import BadQuestionError, Question, from_v1, from_v2

NAME = "search"
_THREADS = 8
_MOST_BYTES = 1024 * 1024
"""The most bytes of a request; a question has at most a few hundred words."""


class SearchModel(Model):  # type: ignore[misc]  # kserve publishes no types
    """Answers in threads; ready immediately, because it has nothing to load and Qdrant may come later."""

    def __init__(self) -> None:
        super().__init__(NAME)
        self.ready = True
        self._searcher = Searcher()
        self._threads = ThreadPoolExecutor(max_workers=_THREADS, thread_name_prefix="search")

    def get_input_types(self) -> list[dict[str, Any]]:
        """Describe the v2 inputs."""
        return [
            {"name": "question", "datatype": "BYTES", "shape": [-1]},
            {"name": "limit", "datatype": "INT32", "shape": [-1]},
        ]

    def get_output_types(self) -> list[dict[str, Any]]:
        """Describe the v2 output: one JSON text per question."""
        return [{"name": "answer", "datatype": "BYTES", "shape": [-1]}]

    def validate(self, payload: Any) -> Any:  # noqa: ANN401  # whatever was sent
        """Leave the checks to ``predict``: KServe's own fail on a body that is a JSON string."""
        return payload

    async def predict(self, payload: Any, headers: dict[str, str] | None = None) -> Any:  # noqa: ANN401, ARG002
        """Answer every question of a v1 or v2 request.

        Raises:
            InvalidInput: the request is not valid; KServe answers 400.
            VellumError: Qdrant or the binding cannot be used; the server answers 503.
        """
        second = isinstance(payload, InferRequest)
        try:
            questions = from_v2(payload.inputs) if second else from_v1(payload)
        except BadQuestionError as error:
            raise InvalidInput(str(error)) from None
        predictions = await self._answer(questions)
        if not second:
            return {"predictions": predictions}
        return serving.respond(payload, NAME, [_tensor(predictions)])

    async def _answer(self, questions: list[Question]) -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        asked = (loop.run_in_executor(self._threads, self._searcher.answer, question) for question in questions)
        return list(await asyncio.gather(*asked))


def _tensor(predictions: list[dict[str, Any]]) -> InferOutput:
    data = [orjson.dumps(prediction).decode() for prediction in predictions]
    return InferOutput("answer", [len(data)], "BYTES", data=data)


def serve(http_port: int) -> None:
    """Serve until SIGTERM."""
    serving.serve(SearchModel(), http_port, _MOST_BYTES)
