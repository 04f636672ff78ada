"""Archives of Vellum's own charts, which `vellum package push` pushes."""

from __future__ import annotations

import io
import tarfile

import pytest

from vellum.package.charts import OWN, own, packed


@pytest.mark.parametrize("name", OWN)
def test_an_archive_has_every_file_of_its_chart_in_its_folder(name: str) -> None:
    with tarfile.open(fileobj=io.BytesIO(packed(name, own(name)))) as tar:
        results = {item.name: stream.read() for item in tar if (stream := tar.extractfile(item))}
    assert results == {f"{name}/{path}": content for path, content in own(name).items()}
    assert f"{name}/Chart.yaml" in results
