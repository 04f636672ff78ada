"""Talk to the team's Qdrant over plain HTTP, and make the sparse vectors that ingest and search share.

``qdrant_client`` is not used here: importing it costs 0.96 s, more than a whole pipeline step, and its upserts are
half as fast as a prepared JSON body.
"""

from __future__ import annotations

import http.client
import time
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import orjson

from vellum.errors import WorkloadError
from vellum.workloads import words

COLLECTION = "passages"
VECTOR = "bm25"
FORM = 2
"""The version of the words' form; documents of another version are indexed again. 2: ``workloads.words``."""
MEAN_WORDS = 140
"""Mean words of a passage of at most 1,000 characters; BM25 weighs a passage's length against it."""

_OK, _UNAUTHORIZED, _FORBIDDEN, _NOT_FOUND, _SERVER_ERROR = 200, 401, 403, 404, 500


@cache
def bm25() -> Any:  # noqa: ANN401  # qdrant_edge publishes no types
    """Return the one BM25 model: English stop words and stems, hashed to sparse indices."""
    import qdrant_edge

    return qdrant_edge.Bm25(qdrant_edge.Bm25Config(language="english", avg_len=MEAN_WORDS))


def document_vector(text: str) -> Any:  # noqa: ANN401  # qdrant_edge publishes no types
    """Return the sparse vector of a passage."""
    return bm25().embed_document(words.searchable(text, document=True))


def question_vector(text: str) -> Any:  # noqa: ANN401  # qdrant_edge publishes no types
    """Return the sparse vector of a question."""
    return bm25().embed_query(words.searchable(text, document=False))


def sparse(vector: Any) -> dict[str, list[Any]]:  # noqa: ANN401  # qdrant_edge publishes no types
    """Return a sparse vector as Qdrant's JSON has it."""
    return {"indices": list(vector.indices), "values": list(vector.values)}


def where(**fields: str) -> dict[str, Any]:
    """Return a filter: every named payload field has exactly this text."""
    return {"must": [{"key": name, "match": {"value": value}} for name, value in fields.items()]}


def having(field: str) -> dict[str, Any]:
    """Return a filter: the payload has this field.

    A visible passage has ``committed`` (true); an invisible one does not have the field. A test for a field is the
    fastest that Qdrant has, and all of its builds answer it alike: qdrant-edge 0.9 treats a Python ``True`` as the
    integer 1, and a match on it finds nothing.
    """
    return {"must_not": [{"is_empty": {"key": field}}]}


class NoCollectionError(Exception):
    """The collection does not exist: nothing was ever indexed. Never reaches a user."""


class Qdrant:
    """One persistent connection, for one thread. Every call made through it must be safe to repeat."""

    def __init__(self, url: str, key: str | None, *, patience: float = 0.0) -> None:
        """Remember the address; open no connection yet.

        Args:
            url: The service's address, with a path prefix when it is behind a gateway.
            key: The API key, or None.
            patience: Seconds for which calls to a service that is down are repeated.
        """
        parts = urlsplit(url)
        self._url, self._patience, self._prefix = url, patience, parts.path.rstrip("/")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname or "", parts.port, timeout=30)
        self._headers = {"content-type": "application/json", **({"api-key": key} if key else {})}

    def call(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  # any JSON
        """Return the answer's ``result``; ``path`` starts with a slash, after the collection's name.

        Raises:
            NoCollectionError: the collection does not exist.
            WorkloadError: the service does not answer (VEL531), refuses the key (VEL532) or the call (VEL533).
        """
        payload = None if body is None else orjson.dumps(body)
        deadline, pause = time.monotonic() + self._patience, 0.05
        while True:
            try:
                status, answer = self._send(method, f"{self._prefix}/collections/{COLLECTION}{path}", payload)
            except (OSError, http.client.HTTPException) as error:
                if time.monotonic() > deadline:
                    raise self._silent(str(error) or type(error).__name__) from error
            else:
                if status < _SERVER_ERROR:
                    return self._result(status, answer)
                if time.monotonic() > deadline:
                    raise self._silent(f"HTTP {status}")
            time.sleep(pause)
            pause = min(pause * 2, 1.0)

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        self._connection.close()

    def _send(self, method: str, path: str, payload: bytes | None) -> tuple[int, bytes]:
        """Send once, and once more if a connection that was kept open turns out to be closed."""
        reused = self._connection.sock is not None
        try:
            return self._exchange(method, path, payload)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            if not reused:
                raise
        try:
            return self._exchange(method, path, payload)
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise

    def _exchange(self, method: str, path: str, payload: bytes | None) -> tuple[int, bytes]:
        self._connection.request(method, path, payload, self._headers)
        response = self._connection.getresponse()
        return response.status, response.read()

    def _result(self, status: int, answer: bytes) -> Any:  # noqa: ANN401  # any JSON
        if status == _OK:
            return orjson.loads(answer)["result"]
        shown = answer[:300].decode(errors="replace")
        if status == _NOT_FOUND and "ollection" in shown:
            raise NoCollectionError
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            raise WorkloadError(
                "VEL532",
                "Qdrant refuses the key of the binding",
                where=self._url,
                fix="run `vellum status`: the team may be gone; if its key has changed, start the process again",
            )
        raise WorkloadError(
            "VEL533",
            f"Qdrant refuses the call: HTTP {status} {shown}",
            where=self._url,
            fix="run `vellum logs qdrant`; a collection made by other software must be removed first",
        )

    def _silent(self, why: str) -> WorkloadError:
        return WorkloadError(
            "VEL531",
            f"Qdrant does not answer: {why}",
            where=self._url,
            fix="run `vellum status` to see whether it is running, then try again",
        )
