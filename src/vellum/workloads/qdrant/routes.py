"""Map methods and paths to calls; every other request gets 501."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from vellum.workloads.qdrant import reads, writes
from vellum.workloads.qdrant.refused import RefusedError, refused
from vellum.workloads.qdrant.request import Request

Call = Callable[[Request], object]


@dataclass(frozen=True)
class Route:
    """One served call: whether it needs the writing key, takes a body, and may run on a full disk."""

    method: str
    template: str
    call: Call
    writes: bool = False
    body: bool = True
    frees: bool = False

    def match(self, segments: list[str]) -> dict[str, str] | None:
        """Return what the path gives for the template's placeholders, or None."""
        wanted = self.template.strip("/").split("/")
        if len(wanted) != len(segments):
            return None
        pairs = list(zip(wanted, segments, strict=True))
        if any(part != given for part, given in pairs if not part.startswith("{")):
            return None
        return {part.strip("{}"): given for part, given in pairs if part.startswith("{")}


_ONE = "/collections/{name}"
ROUTES = (
    Route("GET", "/collections", reads.list_collections, body=False),
    Route("GET", "/aliases", reads.no_aliases, body=False),
    Route("GET", f"{_ONE}/aliases", reads.no_aliases, body=False),
    Route("GET", _ONE, reads.collection_info, body=False),
    Route("PUT", _ONE, writes.create_collection, writes=True),
    Route("DELETE", _ONE, writes.delete_collection, writes=True, body=False, frees=True),
    Route("GET", f"{_ONE}/exists", reads.collection_exists, body=False),
    Route("PUT", f"{_ONE}/index", writes.create_index, writes=True),
    Route("DELETE", f"{_ONE}/index/{{field}}", writes.delete_index, writes=True, body=False),
    Route("PUT", f"{_ONE}/points", writes.upsert, writes=True),
    Route("POST", f"{_ONE}/points", reads.retrieve),
    Route("GET", f"{_ONE}/points/{{id}}", reads.retrieve_one, body=False),
    Route("POST", f"{_ONE}/points/query", reads.query),
    Route("POST", f"{_ONE}/points/query/groups", reads.groups),
    Route("POST", f"{_ONE}/points/query/batch", reads.query_batch),
    Route("POST", f"{_ONE}/points/scroll", reads.scroll),
    Route("POST", f"{_ONE}/points/count", reads.count),
    Route("POST", f"{_ONE}/points/delete", writes.delete_points, writes=True),
    Route("POST", f"{_ONE}/points/payload", writes.set_payload, writes=True),
    Route("PUT", f"{_ONE}/points/payload", writes.overwrite_payload, writes=True),
    Route("POST", f"{_ONE}/points/payload/delete", writes.delete_payload, writes=True),
    Route("POST", f"{_ONE}/points/payload/clear", writes.clear_payload, writes=True),
    Route("PUT", f"{_ONE}/points/vectors", writes.update_vectors, writes=True),
    Route("POST", f"{_ONE}/points/vectors/delete", writes.delete_vectors, writes=True),
    Route("POST", f"{_ONE}/points/batch", writes.batch, writes=True),
    Route("POST", f"{_ONE}/facet", reads.facet),
)


def find(method: str, raw_path: bytes) -> tuple[Route, Mapping[str, str]]:
    """Return the route and the values of its placeholders.

    Segments are split before they are decoded, so ``%2F`` stays inside a name and is refused there.

    Raises:
        RefusedError: nothing is served at this route (501), or the path is not UTF-8 (400).
    """
    shown = raw_path.decode("ascii", "replace")
    try:
        segments = [unquote(word, errors="strict") for word in shown.strip("/").split("/")]
    except UnicodeDecodeError as error:
        raise refused("the path is not UTF-8") from error
    for route in ROUTES:
        if route.method == method and (values := route.match(segments)) is not None:
            return route, values
    raise RefusedError(501, f"Not implemented: {method} {shown} is not served by this stand-in for Qdrant")
