"""Models in the team's bucket, written by skops: to read one runs none of it, unlike a pickle.

skops builds objects of a list of types that it trusts, scikit-learn's and numpy's among them, and refuses all others
(skops 0.16, ``skops.io``). So a model whose steps are functions of one's own cannot be stored here.
"""

from __future__ import annotations

import time
from typing import Any

import skops.io
from skops.io.exceptions import UntrustedTypesFoundException

from vellum.connect import Binding, connect
from vellum.errors import BindingError, WorkloadError

MOST_BYTES = 256 * 2**20
"""A model is read into memory as a whole, and a predictor of the runtime may have 1 GiB."""
WAIT_SECONDS = 2.0
_NOT_THERE = frozenset({"404", "NoSuchKey"})


def save(model: Any, key: str, binding: Binding) -> int:  # noqa: ANN401  # scikit-learn publishes no types
    """Store a model under a key of the team's bucket; return its size in bytes.

    Raises:
        WorkloadError: it holds something that nobody could read back (VEL552).
        BindingError: the bucket is not ready (VEL605).
    """
    content = skops.io.dumps(model)
    _read(content, key)
    binding.s3().put_object(Bucket=binding.VELLUM_BUCKET, Key=key, Body=content)
    return len(content)


def load(key: str, binding: Binding) -> Any:  # noqa: ANN401  # scikit-learn publishes no types
    """Return the model under a key of the team's bucket, None if there is none.

    Raises:
        WorkloadError: it is too large (VEL551), or no model that can be trusted (VEL552).
        BindingError: the bucket is not ready (VEL605).
    """
    from botocore.exceptions import ClientError

    try:
        answer = binding.s3().get_object(Bucket=binding.VELLUM_BUCKET, Key=key)
    except ClientError as error:
        if error.response["Error"]["Code"] in _NOT_THERE:
            return None
        raise
    with answer["Body"] as body:
        if answer["ContentLength"] > MOST_BYTES:
            raise WorkloadError(
                "VEL551", f"the model has more than {MOST_BYTES // 2**20} MiB", where=key,
                fix="train a smaller one, with fewer features for example",
            )  # fmt: skip
        return _read(body.read(), key)


def awaited(key: str) -> Any:  # noqa: ANN401  # scikit-learn publishes no types
    """Return the model once it is in the bucket; what it waits for is printed once."""
    said = ""
    while True:
        try:
            if (model := load(key, connect())) is not None:
                return model
            why = f"there is no {key} in the bucket yet"
        except BindingError as error:
            why = error.what
        if why != said:
            print(f"waits: {why}", flush=True)  # noqa: T201  # the process's log
        said = why
        time.sleep(WAIT_SECONDS)


def _read(content: bytes, key: str) -> Any:  # noqa: ANN401  # scikit-learn publishes no types
    try:
        return skops.io.loads(content, trusted=[])
    except UntrustedTypesFoundException as error:
        raise _no_model(key, f"it is made of more than scikit-learn: {error}") from error
    except Exception as error:
        # Whatever was stored there: not a zip, a cut one, a schema that does not fit.
        raise _no_model(key, f"it cannot be read: {error}") from error


def _no_model(key: str, why: str) -> WorkloadError:
    return WorkloadError(
        "VEL552", f"there is no model to trust: {' '.join(why.split())[:300]}", where=key,
        fix="store it with vellum.workloads.models.store.save, or skops.io.dump, from scikit-learn's own parts",
    )  # fmt: skip
