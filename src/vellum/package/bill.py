"""The bill of materials of an image, as CycloneDX 1.6: the packages of its list, with the hashes of their archives."""

from __future__ import annotations

import uuid

from vellum._version import __version__
from vellum.oci.layout import Json
from vellum.package.pinned import Archive, Target

MEDIA_TYPE = "application/vnd.cyclonedx+json"
_NAMESPACE = uuid.UUID("9e6b3a53-2a77-5b1e-8a6c-0c7f4f6d1d2e")


def bill(image: str, target: Target, archives: list[Archive], base: str) -> Json:
    """Return the document; it has no time, so the same image has the same bill."""
    components = [
        {"type": "container", "name": "base", "version": base, "bom-ref": "base"},
        _component("vellum-mlops", __version__),
        *(_component(archive.package.name, archive.package.version, archive.digest) for archive in archives),
    ]
    serial = uuid.uuid5(_NAMESPACE, repr((image, str(target), components)))
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {
            "component": {"type": "container", "name": image, "version": __version__, "bom-ref": image},
            "properties": [{"name": "vellum:platform", "value": str(target)}],
        },
        "components": components,
    }


def _component(name: str, version: str, digest: str = "") -> Json:
    url = f"pkg:pypi/{name.lower().replace('_', '-')}@{version}"
    component: Json = {"type": "library", "name": name, "version": version, "purl": url, "bom-ref": url}
    return {**component, "hashes": [{"alg": "SHA-256", "content": digest}]} if digest else component
