"""The ingest pipeline for Kubeflow: extract, chunk, index; one YAML for a laptop and a cluster.

The steps hold no code of their own: they call this package, which is in the image (on a laptop, in this Python).
Nothing is installed when a step starts. kfp reads the annotations as values, hence no ``from __future__`` here.

    python -m vellum.workloads.ingest.pipeline PATH [IMAGE]
"""

import sys
from pathlib import Path
from typing import Any

from kfp import compiler, dsl

LOCAL_IMAGE = "python"
"""kfp.local ignores the image but warns about a name without "python"."""


def extract(
    source: str,
    pages: dsl.Output[dsl.Dataset],
    listing: dsl.Output[dsl.Artifact],
    prune: bool,  # noqa: FBT001  # pipeline parameters are passed by name
) -> None:
    """Read every page of the PDFs that are not indexed yet."""
    from vellum.workloads.ingest import steps

    steps.extract(source, pages.path, listing.path, prune=prune)


def chunk(
    pages: dsl.Input[dsl.Dataset],
    listing: dsl.Input[dsl.Artifact],
    passages: dsl.Output[dsl.Dataset],
    counts: dsl.Output[dsl.Artifact],
) -> None:
    """Cut pages into passages."""
    from vellum.workloads.ingest import steps

    steps.chunk(pages.path, listing.path, passages.path, counts.path)


def index(
    listing: dsl.Input[dsl.Artifact],
    passages: dsl.Input[dsl.Dataset],
    counts: dsl.Input[dsl.Artifact],
    verdicts: dsl.Output[dsl.Artifact],
    prune: bool,  # noqa: FBT001  # pipeline parameters are passed by name
) -> None:
    """Make whole documents visible in the team's Qdrant."""
    from vellum.workloads.ingest import steps

    steps.index(listing.path, passages.path, counts.path, verdicts.path, prune=prune)


def define(image: str) -> Any:  # noqa: ANN401  # kfp publishes no types
    """Return the pipeline with its steps in ``image``."""
    component = dsl.component(base_image=image, install_kfp_package=False)
    read, cut, write = component(extract), component(chunk), component(index)

    def ingest(source: str, prune: bool = False) -> None:  # noqa: FBT001, FBT002
        # No caching: the content of Qdrant may have changed since, and the steps read it themselves.
        extracted = read(source=source, prune=prune).set_caching_options(enable_caching=False)
        passages = cut(pages=extracted.outputs["pages"], listing=extracted.outputs["listing"])
        passages.set_caching_options(enable_caching=False)
        write(
            listing=extracted.outputs["listing"],
            passages=passages.outputs["passages"],
            counts=passages.outputs["counts"],
            prune=prune,
        ).set_caching_options(enable_caching=False)

    return dsl.pipeline(name="vellum-ingest", description="From a folder of PDFs to passages")(ingest)


def compile_to(path: Path, image: str) -> None:
    """Write the pipeline's YAML with its steps in ``image``."""
    compiler.Compiler().compile(define(image), str(path))


if __name__ == "__main__":
    path, image = (*sys.argv[1:], LOCAL_IMAGE)[:2]
    compile_to(Path(path), image)
