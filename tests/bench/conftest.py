"""The bench that all tests here share; the first one builds the programs, which takes minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.bench.real import Bench, new_bench
from tests.charts import helm
from tests.charts.rendered import Rendered

from vellum.bench import programs
from vellum.kube.objects import Obj
from vellum.package.charts import own, packed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the real control plane, and more time than other tests."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker("bench")
            item.add_marker(pytest.mark.timeout(3600))
    # Tests without the shared bench come first, so that it does not run at the same time as the installation's bench.
    items.sort(key=lambda item: "bench" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    """Return a running bench."""
    yield from new_bench()


@pytest.fixture(scope="session")
def built() -> dict[str, Path]:
    """Return the bench's programs."""
    return programs.ensure(print)


@pytest.fixture
def program(built: dict[str, Path], tmp_path: Path) -> helm.Helm:
    """Return Helm as it is built for the bench."""
    return helm.Helm(built["helm"], tmp_path)


@pytest.fixture
def archive(tmp_path: Path) -> Callable[[str], Path]:
    """Return what packs a chart."""

    def of(name: str) -> Path:
        path = tmp_path / f"{name}.tgz"
        path.write_bytes(packed(name, own(name)))
        return path

    return of


@pytest.fixture
def rendered(program: helm.Helm, archive: Callable[[str], Path]) -> Rendered:
    """Return what renders a chart in a namespace ``ns``."""

    def of(name: str, values: Obj, *flags: str, kubernetes: str = helm.KUBERNETES[-1]) -> list[Obj]:
        return program.rendered(archive(name), name, "ns", values, *flags, kubernetes=kubernetes)

    return of
