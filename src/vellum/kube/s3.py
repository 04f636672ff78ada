"""The key of one bucket as Kubernetes keeps it: one shape for everybody who reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from vellum.kube.objects import Obj, secret

STORE_SECRET = "mlpipeline-minio-artifact"  # noqa: S105  # the name that every KFP default and Argo config expects


@dataclass(frozen=True, slots=True)
class Access:
    """A bucket and the key that opens it."""

    bucket: str
    access_key: str
    secret_key: str = field(repr=False)


def consumer_secret(
    namespace: str, access: Access, *, endpoint: str, region: str, labels: Mapping[str, str]
) -> Obj:
    """Build the Secret that KFP, Argo, KServe and boto3 all read; compose it only once the key works.

    Sources: KFP 2.17 (``accesskey``/``secretkey``), KServe 0.20 ``pkg/credentials/s3`` (annotations, AWS spellings).
    """
    secure = "1" if endpoint.startswith("https://") else "0"
    annotations = {
        "serving.kserve.io/s3-endpoint": endpoint.split("://", 1)[1],
        "serving.kserve.io/s3-region": region,
        "serving.kserve.io/s3-usehttps": secure,
        "serving.kserve.io/s3-verifyssl": secure,
    }
    values = {
        "AWS_ACCESS_KEY_ID": access.access_key,
        "AWS_SECRET_ACCESS_KEY": access.secret_key,
        "accesskey": access.access_key,
        "secretkey": access.secret_key,
    }
    return secret(STORE_SECRET, namespace, values, labels=labels, annotations=annotations)
