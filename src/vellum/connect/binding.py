"""The content of a team's binding: typed, hidden when printed, with an error for each missing key."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any

from vellum.errors import BindingError

if TYPE_CHECKING:
    from botocore.config import Config
    from qdrant_client import QdrantClient

PUBLIC = frozenset(
    {
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "VELLUM_BUCKET",
        "QDRANT_URL",
        "KF_PIPELINES_ENDPOINT",
        "VELLUM_SEARCH_URL",
    }
)
"""Keys whose values a printed binding shows. It hides all others, and so the keys of parts that are not known here."""
BINDING_SECRET = "vellum-binding"  # noqa: S105  # a name, not a secret
"""The Secret in the team's namespace that holds the binding."""
_NAME = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)+")
_NOT_OURS = re.compile(r"LD_.*|PYTHON.*|DYLD_.*")
"""Variables that change how programs start. No key has such a name."""


@dataclass(frozen=True, slots=True, repr=False, kw_only=True)
class Binding:
    """The keys and addresses of one team; a field is None until its part is ready.

    Keys of other parts are attributes too, once the part is ready.
    """

    AWS_ACCESS_KEY_ID: str | None = None
    AWS_SECRET_ACCESS_KEY: str | None = None
    AWS_ENDPOINT_URL: str | None = None
    AWS_REGION: str | None = None
    AWS_DEFAULT_REGION: str | None = None
    VELLUM_BUCKET: str | None = None
    QDRANT_URL: str | None = None
    QDRANT_API_KEY: str | None = None
    KF_PIPELINES_ENDPOINT: str | None = None
    VELLUM_SEARCH_URL: str | None = None
    source: str = "code"
    """Where the binding was found, for error messages: a folder, or "the environment"."""
    more: Mapping[str, str] = field(default_factory=dict, hash=False)
    """The keys that have no field here."""

    @classmethod
    def of(cls, values: Mapping[str, str], source: str) -> Binding:
        """Return the binding of these keys; empty values count as absent."""
        known = {name: values[name] for name in KEYS if values.get(name)}
        more = {name: value for name, value in values.items() if value and name not in KEYS and is_key(name)}
        return cls(source=source, more=more, **known)

    def as_env(self) -> dict[str, str]:
        """Return the keys that have a value, as environment variables for a child process."""
        values = {name: getattr(self, name) for name in KEYS}
        return {**{name: value for name, value in values.items() if value is not None}, **self.more}

    def __getattr__(self, name: str) -> str:
        """Return a key that has no field here.

        Raises:
            AttributeError: the binding does not have this key.
        """
        if name in KEYS or not is_key(name) or name not in self.more:
            raise AttributeError(f"the binding has no {name}", name=name, obj=self)
        return self.more[name]

    def require(self, *names: str) -> Binding:
        """Return the binding itself when every named key has a value.

        Raises:
            BindingError: a key is absent because its part is not ready or not enabled (VEL605).
        """
        missing = [name for name in names if getattr(self, name, None) is None]
        if missing:
            raise BindingError(
                "VEL605",
                f"the binding has no {', '.join(missing)} yet",
                where=self.source,
                fix="run `vellum status` to see which part is not ready, or enable it in the claim",
            )
        return self

    def s3(self, config: Config | None = None) -> Any:  # noqa: ANN401  # boto3 publishes no types
        """Return a boto3 client for the team's bucket (path-style, which every S3 service understands).

        Args:
            config: more of botocore's settings, such as timeouts.

        Raises:
            BindingError: the bucket is not ready (VEL605) or boto3 is not installed (VEL606).
        """
        self.require("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "VELLUM_BUCKET")
        try:
            import boto3
            from botocore.config import Config
        except ImportError as error:
            raise _not_installed("boto3") from error
        # For a custom endpoint in us-east-1 botocore presigns with Signature Version 2. It signs the Content-Type, so
        # a PUT fails if the program adds one.
        own = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        return boto3.client(
            "s3",
            endpoint_url=self.AWS_ENDPOINT_URL,
            region_name=self.AWS_REGION or "us-east-1",
            aws_access_key_id=self.AWS_ACCESS_KEY_ID,
            aws_secret_access_key=self.AWS_SECRET_ACCESS_KEY,
            config=own.merge(config) if config else own,
        )

    def qdrant(self) -> QdrantClient:
        """Return a client of the team's vectors.

        Raises:
            BindingError: Qdrant is not ready (VEL605) or qdrant-client is not installed (VEL606).
        """
        self.require("QDRANT_URL")
        try:
            from qdrant_client import QdrantClient
        except ImportError as error:
            raise _not_installed("qdrant-client") from error
        with warnings.catch_warnings():
            # Plain HTTP is intended on loopback and inside a namespace's network policy.
            warnings.filterwarnings("ignore", "Api key is used with an insecure connection")
            # Without port=None the client adds :6333 to an address that has a path but no port.
            return QdrantClient(url=self.QDRANT_URL, api_key=self.QDRANT_API_KEY, port=None)

    def __repr__(self) -> str:
        shown = (f"{name}={repr(value) if name in PUBLIC else '***'}" for name, value in self.as_env().items())
        return f"Binding({', '.join((*shown, f'source={self.source!r}'))})"


KEYS = tuple(field.name for field in fields(Binding) if field.name not in ("source", "more"))
"""The names that this module knows: environment variables, Secret keys and file names alike."""


def is_key(name: str) -> bool:
    """Tell whether a part's key may have this name: capitals with an underscore, such as ``QDRANT_URL``."""
    return bool(_NAME.fullmatch(name)) and not _NOT_OURS.fullmatch(name)


def _not_installed(package: str) -> BindingError:
    return BindingError(
        "VEL606", f"{package} is not installed", where="this Python", fix="pip install 'vellum-mlops[laptop]'"
    )
