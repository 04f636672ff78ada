"""The front as an ASGI application. It streams all requests and responses that it does not have to change."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import h11
from starlette.types import Receive, Scope, Send

from vellum.workloads.s3 import answers, batch, guard, uploads
from vellum.workloads.s3.call import Call, ClientGoneError, Message
from vellum.workloads.s3.keys import Refusal, refusal
from vellum.workloads.s3.params import Wanted, wanted
from vellum.workloads.s3.places import Places
from vellum.workloads.s3.request import Asked, Kind, read, repeated
from vellum.workloads.s3.store import Store
from vellum.workloads.s3.upstream import Answer, Upstream, UpstreamError

LOG = logging.getLogger(__name__)
READY_PATH, LIVE_PATH = "/.vellum/ready", "/.vellum/live"
"""Answer whether the store lists its buckets, and whether the front itself runs; no bucket can have these names."""
LONGEST_BATCH = 4 << 20
"""Bytes of a DeleteObjects request: 1000 keys of 1024 bytes, each byte escaped, are fewer."""
BATCHES = 4
"""Lists of keys that are held in memory at the same time; more wait."""
BATCH_SECONDS = 30.0
"""For the whole list of keys to come."""
_BODY_UNREAD = frozenset(("MalformedXML", "BadDigest", "XAmzContentSHA256Mismatch"))
"""What the store says of a body of spaces, to a client that may send a real one (measured on 4.48)."""
_FRAMING = frozenset((b"content-length", b"transfer-encoding"))
_OK, _BAD = 300, 400
_NOT_FOUND, _CONFLICT, _FAILED = 404, 409, 412
_ALLOWED = (_CONFLICT, _FAILED, 500, 503)
"""Answers after which a change counts as allowed: the store has checked the client, or cannot check it now."""
_TOO_LONG = Refusal(
    400, "EntityTooLarge", f"The list in the body has more than {LONGEST_BATCH} bytes. Send a shorter one."
)


class Front:
    """The application: it forwards requests to the store."""

    def __init__(self, upstream: Upstream, store: Store) -> None:
        self._upstream, self._store = upstream, store
        self._batches = asyncio.Semaphore(BATCHES)
        self._places = Places()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        call = Call(scope["method"], scope["raw_path"], scope["query_string"], list(scope["headers"]), receive, send)
        started = False

        async def noted(message: Message) -> None:
            """Send a message, and note that the answer has begun."""
            nonlocal started
            started = True
            await send(message)

        call.send = noted
        try:
            await (self._watched(call) if call.only_reads else self._serve(call))
        except ClientGoneError:
            LOG.info("a client went away in the middle of its request")
        except h11.LocalProtocolError:
            await _refuse(call, Refusal(400, "InvalidRequest", "The request is not HTTP as the store reads it."))
        except (UpstreamError, ValueError) as wrong:
            LOG.warning("%s", wrong)
            if started:
                # An answer that breaks off must not look whole: the server closes the connection.
                raise
            await _refuse(call, Refusal(503, "ServiceUnavailable", "The object store does not answer. Try again."))

    async def _watched(self, call: Call) -> None:
        """Serve until the client disconnects, then stop reading from the store."""
        serving, leaving = asyncio.create_task(self._serve(call)), asyncio.create_task(call.left())
        try:
            await asyncio.wait({serving, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not serving.done():
                raise ClientGoneError
            serving.result()
        finally:
            for task in (serving, leaving):
                task.cancel()
            await asyncio.wait({serving, leaving})

    async def _serve(self, call: Call) -> None:
        if call.path == LIVE_PATH.encode():
            await call.answer(200, [(b"content-type", b"text/plain")], b"live\n")
            return
        if call.path == READY_PATH.encode():
            await self._store.answers()
            await call.answer(200, [(b"content-type", b"text/plain")], b"ready\n")
            return
        asked = repeated(name.decode("latin-1").lower() for name, _ in call.headers) or read(
            call.method, call.path, call.query, call.named
        )
        if isinstance(asked, Refusal):
            await _refuse(call, asked)
            return
        await self._work(asked.kind)(call, asked)

    def _work(self, kind: Kind) -> Callable[[Call, Asked], Any]:
        work: dict[Kind, Callable[[Call, Asked], Any]] = {
            Kind.LIST: self._list,
            Kind.VERSIONS: self._list,
            Kind.BATCH: self._batch,
            Kind.READ: self._read,
            Kind.WRITE: self._change,
            Kind.DELETE: self._change,
            Kind.FORM: self._form,
            Kind.UPLOADS: self._uploads,
        }
        return work.get(kind, self._pass)

    async def _pass(self, call: Call, asked: Asked) -> None:
        """Forward the request, and return the answer."""
        del asked
        await self._send(call, call.body() if call.has_body else None)

    async def _send(self, call: Call, body: AsyncIterator[bytes] | None) -> None:
        async with self._upstream.ask(call.method.encode(), call.target, call.headers, body) as answer:
            await _relay(call, answer)

    async def _read(self, call: Call, asked: Asked) -> None:
        """Forward the request; an answer for ``a/`` must be that of a marker."""
        async with self._upstream.ask(call.method.encode(), call.target, call.headers, None) as answer:
            marker = not asked.key.endswith("/") or answer.status >= _BAD
            if marker or await guard.is_marker(self._store, asked.bucket, asked.key, answer.named):
                await _relay(call, answer)
                return
        await _refuse(call, Refusal(404, "NoSuchKey", "The specified key does not exist."))

    async def _change(self, call: Call, asked: Asked) -> None:
        """Forward a write or a deletion, unless the store would also change another key."""
        # The start of a multipart upload does not change a key.
        keys = [asked.key] if guard.changes(asked) and not guard.begins(asked) else []

        async def allowed() -> bool:
            headers = [*call.headers, guard.never(call.named)]
            status, body = await self._upstream.without_body(call.method.encode(), call.target, headers)
            return status < _BAD or status in _ALLOWED or answers.code(body) in _BODY_UNREAD

        writes = asked.kind is Kind.WRITE
        async with self._places.held(asked.bucket, keys, writes=writes, allowed=allowed) as change:
            call.refused = change.ended.set
            await (self._changed(call, asked) if change.free else _refuse(call, guard.busy(asked.key)))

    async def _changed(self, call: Call, asked: Asked) -> None:
        verdict = await guard.judged(self._store, asked)
        if verdict is guard.Verdict.GO:
            await self._pass(call, asked)
        elif "uploadId" in asked.query:
            if await self._may_send(call):
                await _refuse(call, guard.conflict(asked))
        elif guard.begins(asked):
            await self._begun_and_ended(call, asked)
        else:
            await self._judged(call, asked, verdict)

    async def _judged(self, call: Call, asked: Asked, verdict: guard.Verdict) -> None:
        """Refuse a change, but only to a client that may make it: the store checks the client's own request."""
        headers = [*call.headers, guard.never(call.named)]
        body = call.body() if call.has_body else None
        async with self._upstream.ask(call.method.encode(), call.target, headers, body) as answer:
            if answer.status not in (_NOT_FOUND, _CONFLICT, _FAILED):
                await _relay(call, answer)
                return
        if verdict is guard.Verdict.NOTHING:
            await call.send({"type": "http.response.start", "status": 204, "headers": []})
            await call.send({"type": "http.response.body", "body": b""})
            return
        await _refuse(call, guard.conflict(asked))

    async def _begun_and_ended(self, call: Call, asked: Asked) -> None:
        """Refuse a multipart upload. The store begins it despite any condition, so the front aborts it immediately."""
        body = call.body() if call.has_body else None
        async with self._upstream.ask(call.method.encode(), call.target, call.headers, body) as answer:
            if answer.status >= _OK:
                await _relay(call, answer)
                return
            upload = answers.upload_id(await answer.read(LONGEST_BATCH))
        await self._store.abort(asked.bucket, asked.key, upload)
        await _refuse(call, guard.conflict(asked))

    async def _form(self, call: Call, asked: Asked) -> None:
        """Refuse an HTML form upload: its key is inside the body, after fields of any length."""
        del asked
        text = "This store takes no uploads by HTML form. Presign a PUT instead: generate_presigned_url('put_object')."
        await _refuse(call, Refusal(501, "NotImplemented", text))

    async def _batch(self, call: Call, asked: Asked) -> None:
        """Check every key before any is deleted: the client's signature covers the whole list."""
        # Only a client that the store knows gets memory for a list.
        if not await self._may_send(call):
            return
        async with self._batches:
            parsed = await _keys(call)
            if isinstance(parsed, Refusal):
                await _refuse(call, parsed)
                return
            body, keys = parsed
            async with self._places.held(asked.bucket, keys, writes=False) as change:
                if not change.free:
                    await _refuse(call, guard.busy(keys[0]))
                    return
                held = await guard.at_risk(self._store, asked.bucket, keys)
                # A client that may not delete gets the store's refusal, which does not show which keys exist.
                if held is not None and await self._may_delete(call):
                    await _refuse(call, guard.batch_conflict(held))
                    return
                await self._send(call, _once(body))

    async def _may_send(self, call: Call) -> bool:
        """Ask the store with the client's own request, but spaces for its body; False when its error is the answer."""
        length = int(call.named.get("content-length", "0"))
        if length > LONGEST_BATCH:
            await _refuse(call, _TOO_LONG)
            return False
        async with self._upstream.ask(call.method.encode(), call.target, call.headers, _spaces(length)) as answer:
            body = await answer.read(LONGEST_BATCH)
        if answer.status == _BAD and answers.code(body) in _BODY_UNREAD:
            return True
        await call.answer(answer.status, [(b"content-type", b"application/xml")], body)
        return False

    async def _may_delete(self, call: Call) -> bool:
        """Ask the store with the client's own request, but for a key that does not exist.

        The store judges each key of a list after it has read the list, and does not hash the list (measured on 4.48).
        """
        body = f"<Delete><Object><Key>{secrets.token_hex(16)}</Key></Object></Delete>".encode()
        body = body.ljust(int(call.named.get("content-length", "0")))
        headers = [(name, value) for name, value in call.headers if name.lower() not in _FRAMING]
        headers.append((b"content-length", str(len(body)).encode()))
        async with self._upstream.ask(call.method.encode(), call.target, headers, _once(body)) as answer:
            # If the client signed the length, this question is impossible, so the keys are kept.
            return answer.status >= _OK or b"<Error>" not in await answer.read(LONGEST_BATCH)

    async def _list(self, call: Call, asked: Asked) -> None:
        """Let the store check the request, then answer in S3's order."""
        form = "versions" if asked.kind is Kind.VERSIONS else _form(asked)
        page = wanted(asked.query, form)
        if not await self._allowed(call):
            return
        if isinstance(page, Refusal):
            await _refuse(call, page)
            return
        await self._listed(call, asked.bucket, page)

    async def _listed(self, call: Call, bucket: str, page: Wanted) -> None:
        if page.form == "versions" and await self._store.versioned(bucket):
            text = "This store cannot list the versions of a bucket in order. Ask for the keys, without ?versions."
            await _refuse(call, Refusal(501, "NotImplemented", text))
            return
        listing = await self._store.listed(bucket, page)
        head = page.head(bucket, listing)
        if page.form == "versions":
            body = answers.versions(head, listing, encoded=page.encoded)
        else:
            body = answers.objects(head, listing, encoded=page.encoded, owner=page.owner)
        await call.xml(body, request_id=_request_id())

    async def _uploads(self, call: Call, asked: Asked) -> None:
        """List multipart uploads in S3's order."""
        page = uploads.wanted_uploads(asked.query)
        if not await self._allowed(call):
            return
        if isinstance(page, Refusal):
            await _refuse(call, page)
            return
        listed = await self._store.uploads(asked.bucket, continued=bool(page.key_marker))
        await call.xml(uploads.page(asked.bucket, page, listed), request_id=_request_id())

    async def _allowed(self, call: Call) -> bool:
        """Send the client's own request to the store for authorization; return False if its error was the answer."""
        async with self._upstream.ask(call.method.encode(), call.target, call.headers, None) as answer:
            if answer.status >= _OK:
                await _relay(call, answer)
                return False
            async for _ in answer.body():
                pass
        return True


async def _relay(call: Call, answer: Answer) -> None:
    headers = [(name.lower(), value) for name, value in answer.headers]
    if answer.status >= _OK:
        headers += await call.closing()
    await call.send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for part in answer.body():
        await call.send({"type": "http.response.body", "body": part, "more_body": True})
    await call.send({"type": "http.response.body", "body": b""})


async def _refuse(call: Call, refusal: Refusal) -> None:
    request_id = _request_id()
    resource = call.path.decode("latin-1")
    with contextlib.suppress(ClientGoneError):
        await call.xml(answers.error(refusal, resource, request_id), refusal.status, request_id)


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


async def _spaces(length: int) -> AsyncIterator[bytes]:
    """Yield a body without a request in it: the client may have signed its length."""
    while length > 0:
        yield b" " * min(length, 1 << 16)
        length -= 1 << 16


async def _keys(call: Call) -> tuple[bytes, list[str]] | Refusal:
    """Return the body of DeleteObjects and its keys, or the fault in them; the body is parsed while it arrives."""
    whole, reader = bytearray(), batch.Reader()
    try:
        async with asyncio.timeout(BATCH_SECONDS):
            async for part in call.body():
                whole += part
                if len(whole) > LONGEST_BATCH:
                    return _TOO_LONG
                reader.feed(part)
        keys = reader.keys()
    except TimeoutError:
        return Refusal(400, "RequestTimeout", f"The list of keys did not come within {BATCH_SECONDS:.0f} s.")
    except ValueError as cause:
        return Refusal(400, "MalformedXML", f"The list of keys cannot be read: {cause}.")
    wrong = next((result for key in keys if (result := refusal(key, writes=False, deletes=True))), None)
    return wrong or (bytes(whole), keys)


def _form(asked: Asked) -> str:
    return "v2" if asked.query.get("list-type") == "2" else "v1"


def _request_id() -> str:
    return secrets.token_hex(8).upper()
