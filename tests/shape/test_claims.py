"""The documents' claims about this repository are true: counts, versions, commands, missing features."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from vellum.api import loader
from vellum.api.platform import Platform
from vellum.cli.main import COMMANDS
from vellum.components import platform_components
from vellum.model.component import AnyPlatformComponent
from vellum.model.release import ReleaseComponent
from vellum.package import xpkg
from vellum.package.charts import OWN, own
from vellum.package.compositions import FUNCTION, function
from vellum.package.provider import PACKAGE
from vellum.package.recipes import RECIPES

ROOT = Path(__file__).parents[2]
PAGES = [
    *(page for page in sorted(ROOT.glob("*.md")) if page.name != "CHANGELOG.md"),
    *(page for page in sorted((ROOT / "docs").rglob("*.md")) if page.parent.name != "decisions"),
    *sorted((ROOT / "charts").glob("*/README.md")),
]
"""Decisions and the changelog describe their own date, so they are left out."""
WORDS = (
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
)
NUMBERS = {name: value for value, name in enumerate(WORDS)}
NUMBER = rf"([0-9]+|{'|'.join(NUMBERS)})"


def text(page: Path) -> str:
    """Return a page as one line."""
    return re.sub(r"\s+", " ", page.read_text(encoding="utf-8"))


def number(word: str) -> int:
    return NUMBERS[word.lower()] if word.lower() in NUMBERS else int(word)


def parts() -> list[AnyPlatformComponent]:
    """Return the parts of the bench's platform, which the figures describe."""
    (platform,) = loader.read(str(ROOT / "examples/bench/platform.yaml"))
    assert isinstance(platform, Platform)
    return [part for part in platform_components().values() if platform.wants(part)]


def pinned(tool: str, module: str) -> str:
    """Return the version that a tool's module file pins."""
    match = re.search(
        rf"^\s*(?:require )?{re.escape(module)} v(\S+)", (ROOT / f"tools/{tool}/go.mod").read_text(), re.MULTILINE
    )
    assert match, module
    return match[1]


COUNTS: dict[str, Callable[[], int]] = {
    rf"platform, {NUMBER} parts": lambda: len(parts()),
    rf"parts, {NUMBER} of them Helm releases": lambda: sum(isinstance(part, ReleaseComponent) for part in parts()),
    rf"!\[(?:The )?{NUMBER} parts": lambda: (ROOT / "docs/pictures/kubeflow.svg").read_text().count("<title>") - 1,
    rf"Vellum's {NUMBER} charts": lambda: len(OWN),
    rf"KServe's {NUMBER} charts": lambda: sum(name.startswith("kserve") for name in platform_components()),
    rf"the {NUMBER} kinds(?:, their| and what)": lambda: 2,
}


@pytest.mark.parametrize("pattern", COUNTS)
def test_a_count_is_that_of_the_code(pattern: str) -> None:
    results = {
        (page.name, message): number(message)
        for page in PAGES
        for message in re.findall(pattern, text(page), re.IGNORECASE)
    }
    assert {where: message for where, message in results.items() if message != COUNTS[pattern]()} == {}


def test_the_counts_that_figures_name_are_found() -> None:
    """Otherwise the test above would pass after a sentence was reworded."""
    whole = " ".join(map(text, PAGES))
    assert [pattern for pattern in list(COUNTS)[:4] if not re.search(pattern, whole, re.IGNORECASE)] == []


VERSIONS: dict[str, Callable[[], str]] = {
    r"[Cc]rossplane (?:core )?v?([0-9]+\.[0-9]+\.[0-9]+)": lambda: pinned(
        "crossplane", "github.com/crossplane/crossplane/v2"
    ),
    r"[Pp]rovider-helm:?,? v?([0-9]+\.[0-9]+\.[0-9]+)": lambda: PACKAGE.rpartition(":v")[2],
    r"KServe,? v?([0-9]+\.[0-9]+\.[0-9]+)": lambda: pinned("kserve", "github.com/kserve/kserve"),
    r"[Nn]otebook controller \(?v?([0-9]+\.[0-9]+\.[0-9]+)\b": lambda: chart_version("notebook-controller"),
    r"Kubeflow Pipelines \(?v?([0-9]+\.[0-9]+\.[0-9]+)\b": lambda: chart_version("kubeflow-pipelines"),
}


def chart_version(name: str) -> str:
    message: str = yaml.safe_load(own(name)["Chart.yaml"])["appVersion"]
    return message.removeprefix("v")


@pytest.mark.parametrize("pattern", VERSIONS)
def test_a_version_is_the_one_that_is_pinned(pattern: str) -> None:
    wrong = {
        (page.name, message)
        for page in PAGES
        for message in re.findall(pattern, text(page))
        if message != VERSIONS[pattern]()
    }
    assert wrong == set()


MISSING = re.compile(
    r"[^.|]*\b(?:not(?: [a-z]+){0,3} yet|not yet|yet not|later release|"
    r"nothing(?: [a-z]+)? (?:install|build|publish|make)s?\b|there is no \w+er)\b[^.|]*",
    re.IGNORECASE,
)
"""A sentence that says that a feature of ours is missing."""


NOUNS = ("bench", "completion", "function", "package", "status")


def denied(words: str) -> list[str]:
    """Return the commands that the sentences say are missing, each with its sentence."""
    verbs = [name for name in COMMANDS if len(name) > len("open") and name not in NOUNS]
    stems = {re.sub(r"(e|fy)$", "", name): name for name in verbs}
    results = []
    for sentence in MISSING.findall(words):
        prose = re.sub(r"`[^`]*`|\([^)]*\)", "", sentence)
        named = [
            name for stem, name in stems.items() if re.search(rf"\b{stem}(s|er|ers|ing|es)\b", prose, re.IGNORECASE)
        ]
        results += [f"{name}: {sentence.strip()}" for name in named]
    return results


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_nothing_is_said_to_be_missing_that_is_a_command(page: Path) -> None:
    assert denied(text(page)) == []


@pytest.mark.parametrize(
    "sentence",
    [
        "**Not yet:** an installer, and a registry that has our charts.",
        "What is composed fits one; nothing installs it there yet",
        "**On a cluster**, later: a later release installs Kubeflow's own parts.",
        "Installing on clusters comes with a later release.",
        "There is no uninstaller.",
    ],
)
def test_a_sentence_that_denies_a_command_is_found(sentence: str) -> None:
    assert denied(sentence)


def test_charts_are_called_alpha_where_they_are_and_nowhere_else() -> None:
    alpha = {
        name
        for name in OWN
        if yaml.safe_load(own(name)["Chart.yaml"])["annotations"]["platform.vellum.dev/stage"] == "alpha"
    }
    messages = [page.name for page in PAGES if "not yet run on a kubelet" in text(page)]
    assert bool(messages) == bool(alpha)


def test_what_is_told_of_a_command_names_one() -> None:
    """``vellum WORD`` in a page is a command, or a placeholder."""
    wrong = {
        (page.name, word)
        for page in PAGES
        for word in re.findall(r"`(?:\.venv/bin/)?vellum ([a-z]+)\b", page.read_text(encoding="utf-8"))
        if word not in COMMANDS
    }
    assert wrong == set()


def test_the_functions_image_takes_the_arguments_that_crossplane_gives_it() -> None:
    """The composed runtime appends its arguments to the entry point of the image."""
    (recipe,) = (item for item in RECIPES if item.xpkg)
    (container,) = function("x")[0]["spec"]["deploymentTemplate"]["spec"]["template"]["spec"]["containers"]
    command = importlib.import_module(f"vellum.cli.commands.{recipe.entrypoint[1]}").command
    command.make_context("function", [*recipe.entrypoint[2:], *container["args"]])
    (package,) = xpkg.function()
    assert (recipe.name, package["metadata"]["name"]) == (FUNCTION, FUNCTION)
    assert (package["apiVersion"], package["kind"]) == ("meta.pkg.crossplane.io/v1", "Function")
