"""The front's own requests to the store, with its own key, which reads, writes and lists."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from vellum.workloads.s3 import answers
from vellum.workloads.s3.listing import Item, Listing, Page, listed
from vellum.workloads.s3.params import Wanted
from vellum.workloads.s3.sign import Signer
from vellum.workloads.s3.upstream import Upstream, UpstreamError

_LONGEST_PAGE = 16 << 20
"""Bytes of one page of a folder: 1000 keys of 1024 bytes, each byte encoded, and what is said of them."""
_MOST_UPLOADS = 100_000
_PAGE = 1000
UPLOADS_SECONDS = 30
"""For which the next pages of a list of uploads come from what was read for the first."""
_OK, _NOT_FOUND = 200, 404


class Store:
    """Requests to the store that a client's key may not make, or that the client did not sign."""

    def __init__(self, upstream: Upstream, signer: Signer, now: Callable[[], datetime], size: int = 1000) -> None:
        """Ask pages of at most ``size`` entries."""
        self._upstream, self._signer, self._now, self._size = upstream, signer, now, size
        self._read: dict[str, list[Item]] = {}
        """The uploads of the bucket that was asked for last, if they do not fit into one page."""

    async def answers(self) -> None:
        """Return when the store lists.

        Raises:
            UpstreamError: the store does not list its buckets.
        """
        status, _ = await self._get("/", {})
        if status != _OK:
            raise UpstreamError(f"the store answers {status} when it is asked for its buckets")

    async def versioned(self, bucket: str) -> bool:
        """Return whether the bucket has, or had, versions."""
        status, body = await self._get(f"/{bucket}", {"versioning": ""})
        if status != _OK:
            raise UpstreamError(f"the store answers {status} when it is asked for a bucket's versioning")
        return b"<Status>" in body

    async def listed(self, bucket: str, wanted: Wanted) -> Listing:
        """Return one page of a listing, in S3's order."""

        async def pages(prefix: str, after: str, size: int) -> Page:
            """Return one page of a folder."""
            return await self._page(bucket, prefix, after, min(size, self._size))

        return await listed(
            pages, prefix=wanted.prefix, delimiter=wanted.delimiter, after=wanted.after, most=wanted.most
        )

    async def _page(self, bucket: str, prefix: str, after: str, size: int) -> Page:
        query = {
            "list-type": "2",
            "delimiter": "/",
            "prefix": prefix,
            "max-keys": str(size),
            "encoding-type": "url",
            "fetch-owner": "true",
        }
        # With a `start-after` that does not begin with the prefix, the store lists the bucket's root (measured).
        if after.startswith(prefix) and after != prefix:
            query["start-after"] = after
        status, body = await self._get(f"/{bucket}", query)
        if status == _NOT_FOUND:
            return Page((), (), "")
        if status != _OK:
            raise UpstreamError(f"the store answers {status} when it is asked for a folder")
        return answers.page(body)

    async def head(self, bucket: str, key: str) -> dict[str, str] | None:
        """Return the headers of a key, or None where it does not exist."""
        target = self._signer.target(f"/{bucket}/{key}", {})
        headers = self._signer.headers("HEAD", target, self._upstream.host, self._now())
        async with self._upstream.ask(b"HEAD", target.encode(), headers) as answer:
            await answer.read(0)
            if answer.status == _OK:
                return answer.named
            if answer.status == _NOT_FOUND:
                return None
        raise UpstreamError(f"the store answers {answer.status} when it is asked for a key")

    async def uploads(self, bucket: str, *, continued: bool) -> list[Item]:
        """Return every open multipart upload; a continued list uses the snapshot of its first page."""
        if not continued or bucket not in self._read:
            listed = await self._all_uploads(bucket)
            if len(listed) <= _PAGE:
                return listed
            self._read = {bucket: listed}
            asyncio.get_running_loop().call_later(UPLOADS_SECONDS, self._forget, bucket, listed)
        return self._read[bucket]

    def _forget(self, bucket: str, uploads: list[Item]) -> None:
        if self._read.get(bucket) is uploads:
            del self._read[bucket]

    async def _all_uploads(self, bucket: str) -> list[Item]:
        listed: list[Item] = []
        query = {"uploads": "", "max-uploads": str(_PAGE)}
        while True:
            status, body = await self._get(f"/{bucket}", query)
            if status != _OK:
                raise UpstreamError(f"the store answers {status} when it is asked for a bucket's uploads")
            some, fields = answers.uploads(body)
            listed += some
            last = fields.get("NextUploadIdMarker", "")
            if fields.get("IsTruncated") != "true" or not some:
                return listed
            if len(listed) > _MOST_UPLOADS:
                raise UpstreamError(f"the bucket has more than {_MOST_UPLOADS} multipart uploads under way")
            query = {**query, "key-marker": fields.get("NextKeyMarker") or some[-1].key, "upload-id-marker": last}

    async def abort(self, bucket: str, key: str, upload: str) -> None:
        """Abort a multipart upload that the store began and the front refuses."""
        target = self._signer.target(f"/{bucket}/{key}", {"uploadId": upload})
        headers = self._signer.headers("DELETE", target, self._upstream.host, self._now())
        async with self._upstream.ask(b"DELETE", target.encode(), headers) as answer:
            await answer.read(_LONGEST_PAGE)

    async def _get(self, path: str, query: dict[str, str]) -> tuple[int, bytes]:
        target = self._signer.target(path, query)
        headers = self._signer.headers("GET", target, self._upstream.host, self._now())
        async with self._upstream.ask(b"GET", target.encode(), headers) as answer:
            return answer.status, await answer.read(_LONGEST_PAGE)
