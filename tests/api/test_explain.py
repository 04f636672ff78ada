"""``vellum explain`` knows all paths and codes that errors name."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from tests.api.broken import BROKEN

import vellum
from vellum.api import schema
from vellum.api.loader import MistakesError, load
from vellum.cli import catalogue
from vellum.cli.commands.explain import command
from vellum.errors import ClaimError, UsageError

SOURCE = Path(vellum.__file__).parent
PAGES = SOURCE.parents[1] / "docs/errors"
ASKED = re.compile(r"vellum explain ([^\s`;,{]+)")


def fixes() -> list[str]:
    """Return the fix of every mistake in all broken files."""
    results = []
    for text in BROKEN.values():
        with pytest.raises(MistakesError) as refused:
            load(text.encode(), "file.yaml")
        results += [problem.fix for problem in refused.value.every()]
    return results


def test_every_path_that_an_error_tells_to_explain_is_explained() -> None:
    texts = [*fixes(), *(path.read_text() for path in PAGES.glob("*.md"))]
    paths = {path for text in texts for path in ASKED.findall(text)} - {"PATH", "spec.notbooks", "platform", "FIELD"}
    assert {"InferenceService.spec.predictor.model", "TrainJob.spec.runtimeRef"} <= paths
    for path in sorted(paths):
        if not catalogue.CODE.fullmatch(path):
            assert schema.explain(path).description


def test_every_field_that_an_error_names_is_explained_or_corrected() -> None:
    """The error of an unknown field names a known one, or says that only a cluster has it."""
    places = set()
    for text in BROKEN.values():
        with pytest.raises(MistakesError) as refused:
            load(text.encode(), "file.yaml")
        places |= {problem.where.partition(": ")[2] for problem in refused.value.every()}
    assert len(places) > 30
    for place in sorted(filter(None, places)):
        assert schema.explain(corrected(place)).description


def corrected(place: str) -> str:
    """Return the path, or the path that its error names, or that of the kind if only a cluster has the field."""
    try:
        return schema.explain(place).path
    except ClaimError as error:
        return error.fix.removeprefix("vellum explain ") if error.code == "VEL119" else "InferenceService.spec"


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("spec.predictor.model", "InferenceService.spec.predictor.model"),
        ("InferenceService.spec.predictor", "InferenceService.spec.predictor"),
        ("inferenceservice.spec.predictor.model.args", "InferenceService.spec.predictor.model.args"),
        ("spec.trainer.env[0].name", "TrainJob.spec.trainer.env.name"),
        ("spec.trainer.env[].valueFrom.secretKeyRef.key", "TrainJob.spec.trainer.env.valueFrom.secretKeyRef.key"),
        ("spec.trainer.resourcesPerNode.requests.memory", "TrainJob.spec.trainer.resourcesPerNode.requests.memory"),
        (
            "spec.trainer.resourcesPerNode.limits['nvidia.com/gpu']",
            "TrainJob.spec.trainer.resourcesPerNode.limits['nvidia.com/gpu']",
        ),
        ("metadata.labels['a.example/b']", "MLOpsPlatform.metadata.labels['a.example/b']"),
        ("spec.gateway.port", "KubeflowPlatform.spec.gateway.port"),
        ("spec.notebooks", "MLOpsPlatform.spec.notebooks"),
    ],
)
def test_a_path_of_any_kind_is_found(path: str, found: str) -> None:
    assert schema.explain(path).path == found


@pytest.mark.parametrize(
    ("path", "code", "fix"),
    [
        ("spec.predictor.modle", "VEL119", "vellum explain InferenceService.spec.predictor.model"),
        ("spec.trainer.env[0].valeu", "VEL119", "vellum explain TrainJob.spec.trainer.env.value"),
        ("InferenceService.spec.predictor.model.storageUri", "VEL120", "delete storageUri"),
    ],
)
def test_a_path_that_is_not_there_is_answered_with_one_that_is(path: str, code: str, fix: str) -> None:
    with pytest.raises(ClaimError) as refused:
        schema.explain(path)
    assert refused.value.code == code
    assert refused.value.fix.startswith(fix)


def test_every_code_is_explained_as_its_page_says() -> None:
    for file in PAGES.glob("*.md"):
        for code, title in re.findall(r"^## (VEL\d{3}) (.+)$", file.read_text(), re.MULTILINE):
            page = catalogue.page(code.lower())
            assert (page.code, page.title) == (code, title)
            assert len(page.text) > 20
            assert "](" not in page.text
            assert not re.search(r"^## ", page.text, re.MULTILINE)


def test_explain_tells_codes_from_paths() -> None:
    output = CliRunner().invoke(command, ["VEL402"])
    assert output.output.startswith("VEL402: the seed is missing\n\nEvery key was derived from the file")
    assert "vellum down --delete-data" in output.output
    assert json.loads(CliRunner().invoke(command, ["vel402", "-o", "json"]).output)["code"] == "VEL402"
    assert (
        CliRunner()
        .invoke(command, ["spec.predictor.model"])
        .output.startswith("InferenceService.spec.predictor.model\n")
    )
    with pytest.raises(UsageError, match="VEL745"):
        CliRunner().invoke(command, ["VEL999"], catch_exceptions=False)
