"""Models in the team's bucket, written by skops: reading one runs none of its code, unlike a pickle.

skops builds only objects of trusted types. ``trust`` lists these types, and ``soundness`` checks the built objects. A
model whose steps are functions of your own cannot be stored here.
"""

from __future__ import annotations

import time
from typing import Any

from vellum.connect import Binding, connect
from vellum.errors import BindingError, WorkloadError
from vellum.workloads.models import installed, soundness, trust

MOST_BYTES = 256 * 2**20
"""A model is read into memory as a whole, and a predictor of the runtime may have 1 GiB."""
WAIT_SECONDS = 2.0
_NOT_THERE = frozenset({"404", "NoSuchKey"})


def save(model: Any, key: str, binding: Binding) -> int:  # noqa: ANN401  # scikit-learn publishes no types
    """Store a fitted model under a key of the team's bucket; return its size in bytes.

    Raises:
        WorkloadError: the model is too large (VEL551), or cannot be served (VEL552), or skops is missing (VEL554).
        BindingError: the bucket is not ready (VEL605).
    """
    content = written(model, key)
    binding.s3().put_object(Bucket=binding.VELLUM_BUCKET, Key=key, Body=content)
    return len(content)


def written(model: Any, key: str) -> bytes:  # noqa: ANN401  # scikit-learn publishes no types
    """Return the file of a fitted model, after a check that ``read`` can read it.

    Raises:
        WorkloadError: the model is too large (VEL551), or cannot be served (VEL552), or skops is missing (VEL554).
    """
    installed.check()
    import skops.io
    from skops.io.exceptions import UnsupportedTypeException

    try:
        content: bytes = skops.io.dumps(model)
    except UnsupportedTypeException as error:
        raise _no_model(key, f"skops cannot store it: {error}") from error
    if len(content) > MOST_BYTES:
        raise _too_large(key)
    read(content, key)
    return content


def load(key: str, binding: Binding) -> Any:  # noqa: ANN401  # scikit-learn publishes no types
    """Return the model under a key of the team's bucket, or None if the key does not exist.

    Raises:
        WorkloadError: the model is too large (VEL551), or cannot be trusted (VEL552).
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
            raise _too_large(key)
        return read(body.read(), key)


def awaited(key: str) -> Any:  # noqa: ANN401  # scikit-learn publishes no types
    """Return the model once it is in the bucket; print once what it waits for."""
    shown = ""
    while True:
        try:
            if (model := load(key, connect())) is not None:
                return model
            why = f"{key} is not in the bucket yet"
        except BindingError as error:
            why = error.what
        if why != shown:
            print(f"waits: {why}", flush=True)  # noqa: T201  # the process's log
        shown = why
        time.sleep(WAIT_SECONDS)


def read(content: bytes, key: str) -> Any:  # noqa: ANN401  # scikit-learn publishes no types
    """Return the model in the bytes of a file.

    Raises:
        WorkloadError: the model cannot be served (VEL552), or skops is missing (VEL554).
    """
    installed.check()
    model, why = _trusted(content)
    if why := why or _not_servable(model):
        raise _no_model(key, why)
    return model


def _trusted(content: bytes) -> tuple[Any, str]:
    """Return the model in a file and an empty text, or None and why Vellum does not trust it."""
    import skops.io

    try:
        held = skops.io.get_untrusted_types(data=content)
        if strange := sorted(set(held) - trust.reviewed()):
            return None, trust.why_not(strange)
        model = skops.io.loads(content, trusted=held)
        soundness.check(model)
    except soundness.UnsoundModelError as error:
        return None, f"it is damaged or forged: {error}"
    except Exception as error:  # noqa: BLE001  # whatever was stored there: not a zip, a cut one, another schema
        return None, f"it cannot be read: {error}"
    return model, ""


def _not_servable(model: Any) -> str:  # noqa: ANN401
    """Return why a model cannot answer requests, empty if it can."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    if not hasattr(model, "predict"):
        return f"{type(model).__name__} has no method predict"
    try:
        check_is_fitted(model)
    except (NotFittedError, TypeError) as error:
        return f"it is not fitted: {error}"
    return ""


def _too_large(key: str) -> WorkloadError:
    return WorkloadError(
        "VEL551",
        f"the model has more than {MOST_BYTES // 2**20} MiB",
        where=key,
        fix="train a smaller one, with fewer features for example",
    )


def _no_model(key: str, why: str) -> WorkloadError:
    return WorkloadError(
        "VEL552",
        f"the model cannot be served: {' '.join(why.split())[:300]}",
        where=key,
        fix="store a fitted estimator of scikit-learn with vellum.workloads.models.store.save; "
        "docs/guides/train-a-model.md lists what cannot be stored",
    )
