"""The Secret of one bucket's key: one shape for all programs that read it, and the reader of a given Secret."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from vellum.kube.objects import Obj, secret

STORE_SECRET = "mlpipeline-minio-artifact"  # noqa: S105  # the name that every KFP default and Argo config expects
_KEYS = ("accesskey", "secretkey")
_WORD = re.compile(r"[!-~]{1,512}")
_BUCKET = re.compile(r"[a-z0-9][-.a-z0-9]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Access:
    """A bucket and the key that opens it."""

    bucket: str
    access_key: str
    secret_key: str = field(repr=False)


def consumer_secret(  # noqa: PLR0913  # one shape for every consumer has this many facts
    namespace: str,
    access: Access,
    derived: str,
    *,
    endpoint: str,
    region: str,
    labels: Mapping[str, str],
    marks: Mapping[str, str],
) -> Obj:
    """Return the Secret that KFP, Argo, KServe and boto3 all read; compose it only once the key works.

    Sources: KFP 2.17 (``accesskey``/``secretkey``), KServe 0.20 ``pkg/credentials/s3`` (annotations, AWS spellings).
    A bucket whose name differs from ``derived`` is named too, so that ``read`` returns what this was built from.
    """
    secure = "1" if endpoint.startswith("https://") else "0"
    annotations = {
        "serving.kserve.io/s3-endpoint": endpoint.split("://", 1)[1],
        "serving.kserve.io/s3-region": region,
        "serving.kserve.io/s3-usehttps": secure,
        "serving.kserve.io/s3-verifyssl": secure,
        **marks,
    }
    values = {
        "AWS_ACCESS_KEY_ID": access.access_key,
        "AWS_SECRET_ACCESS_KEY": access.secret_key,
        "accesskey": access.access_key,
        "secretkey": access.secret_key,
        **({} if access.bucket == derived else {"bucket": access.bucket}),
    }
    return secret(STORE_SECRET, namespace, values, labels=labels, annotations=annotations)


def read(given: Mapping[str, Any], derived: str) -> Access | str:
    """Return the access that a Secret gives, or what is wrong with it, without any of its values."""
    data = given.get("data") or {}
    if missing := [name for name in _KEYS if not data.get(name)]:
        return f"it has no {' and no '.join(missing)}"
    keys = [_text(data[name]) for name in _KEYS]
    for name, key in zip(_KEYS, keys, strict=True):
        if not _WORD.fullmatch(key):
            # The usual cause is `echo KEY | base64`.
            return f"its {name} is not one word of printable ASCII; look for a line break at its end"
    bucket = _text(data["bucket"]) if data.get("bucket") else derived
    if not _BUCKET.fullmatch(bucket):
        return "its bucket is not a bucket's name: 3 to 63 of a-z 0-9 - ."
    return Access(bucket, *keys)


def _text(value: object) -> str:
    """Return a stored value as text; empty if it is not valid base64 of text."""
    try:
        return base64.b64decode(str(value), validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
