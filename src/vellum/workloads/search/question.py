"""Read questions from KServe's v1 and v2 requests; an error says what is wrong with a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vellum.workloads import tensors

MAX_QUESTION = 2000
"""Characters."""
MAX_LIMIT = 50
MAX_QUESTIONS = 32
DEFAULT_LIMIT = 5


class BadQuestionError(ValueError):
    """The request is not valid; the message says what to send. Becomes HTTP 400."""


@dataclass(frozen=True, slots=True)
class Question:
    """The text of a question, and the most answers that are wanted."""

    text: str
    limit: int = DEFAULT_LIMIT


def from_v1(body: object) -> list[Question]:
    """Read ``{"instances": [{"question": "...", "limit": 5}]}``.

    Raises:
        BadQuestionError: the body does not have this form.
    """
    instances = body.get("instances") if isinstance(body, dict) else None
    if not isinstance(instances, list):
        raise BadQuestionError('send a JSON object: {"instances": [{"question": "..."}]}')
    _count(instances)
    return [_instance(instance, f"instances[{number}]") for number, instance in enumerate(instances)]


def from_v2(sent: Sequence[Any]) -> list[Question]:
    """Read the BYTES tensor "question" and the optional INT32 tensor "limit", one element per question.

    Raises:
        BadQuestionError: a tensor is missing, of another type or of another length.
    """
    by_name = {tensor.name: tensor for tensor in sent}
    if len(by_name) != len(sent):
        raise BadQuestionError("two tensors have the same name")
    unknown = sorted(set(by_name) - {"question", "limit"})
    if "question" not in by_name or unknown:
        raise BadQuestionError('send a BYTES tensor "question" and, if you like, an INT32 tensor "limit"')
    asked = by_name["question"]
    if asked.datatype != "BYTES":
        raise BadQuestionError(f'the tensor "question" is BYTES, not {asked.datatype}')
    texts = [_text(value) for value in _flat(asked)]
    _count(texts)
    limits: list[Any] = [DEFAULT_LIMIT] * len(texts)
    if "limit" in by_name:
        if by_name["limit"].datatype not in ("INT32", "INT64"):
            raise BadQuestionError(f'the tensor "limit" is INT32, not {by_name["limit"].datatype}')
        limits = [int(value) if hasattr(value, "item") else value for value in _flat(by_name["limit"])]
    if len(limits) != len(texts):
        raise BadQuestionError(f"{len(texts)} questions need {len(texts)} limits, there are {len(limits)}")
    return [_checked(text, limit, f"question[{n}]") for n, (text, limit) in enumerate(zip(texts, limits, strict=True))]


def _flat(tensor: Any) -> list[Any]:  # noqa: ANN401  # kserve publishes no types
    """Return a tensor's elements; decoding it reveals a wrong shape or wrong bytes."""
    try:
        return list(tensors.read(tensor).flatten())
    except tensors.BadTensorError as error:
        raise BadQuestionError(str(error)) from error


def _text(value: object) -> object:
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        raise BadQuestionError("a question is UTF-8 text") from None


def _instance(instance: object, where: str) -> Question:
    if not isinstance(instance, dict):
        raise BadQuestionError(f'{where} must be an object such as {{"question": "..."}}')
    unknown = sorted(str(name) for name in set(instance) - {"question", "limit"})
    if unknown:
        raise BadQuestionError(f"{where} has unknown fields: {', '.join(unknown)}; there are question and limit")
    if "question" not in instance:
        raise BadQuestionError(f"{where} has no question")
    return _checked(instance["question"], instance.get("limit", DEFAULT_LIMIT), where)


def _checked(text: object, limit: object, where: str) -> Question:
    if not isinstance(text, str):
        raise BadQuestionError(f"{where}: the question must be text")
    if not text.strip():
        raise BadQuestionError(f"{where}: the question is empty")
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise BadQuestionError(f"{where}: the question has half a surrogate pair, which is not text")
    if len(text) > MAX_QUESTION:
        raise BadQuestionError(f"{where}: the question has {len(text):,} characters, at most {MAX_QUESTION:,} are read")
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_LIMIT:
        raise BadQuestionError(f"{where}: limit must be a whole number from 1 to {MAX_LIMIT}")
    return Question(text, limit)


def _count(questions: Sequence[object]) -> None:
    if not 1 <= len(questions) <= MAX_QUESTIONS:
        raise BadQuestionError(f"ask 1 to {MAX_QUESTIONS} questions in one request, not {len(questions)}")
