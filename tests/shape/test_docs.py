"""The documents tell the truth: links resolve, commands parse, paths and verbs exist, examples load."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vellum.api import loader
from vellum.cli.main import COMMANDS, cli

ROOT = Path(__file__).parents[2]
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
    *sorted((ROOT / "benchmarks").rglob("*.md")),
    *sorted((ROOT / "charts").glob("*/*.md")),
]
FENCE = re.compile(r"^ *```(\w*)[^\n]*\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]\[]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
OURS = re.compile(r"(?<![\w./-])((?:src|docs|examples|tests|benchmarks|lock)/[\w./*-]*[\w*/])")
HEAD = "apiVersion: platform.vellum.dev/v1alpha1\nkind: MLOpsPlatform\nmetadata: {name: a}\n"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, *languages: str) -> Iterator[str]:
    for language, text in FENCE.findall(page.read_text(encoding="utf-8")):
        if language in languages:
            yield text


def slugs(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_resolves(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page)):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", target):
            continue
        there = (page.parent / path).resolve() if path else page
        if not there.exists() or (anchor and there.suffix == ".md" and anchor not in slugs(there)):
            broken.append(target)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_path_exists(page: Path) -> None:
    named = {path for code in CODE.findall(prose(page)) for path in OURS.findall(code)}
    named |= {path for text in blocks(page, "console", "bash", "sh") for path in OURS.findall(text)}
    assert sorted(path for path in named if not _exists(path)) == []


def _exists(path: str) -> bool:
    return any(ROOT.glob(path.rstrip("/"))) if "*" in path else (ROOT / path).exists()


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words after ``vellum`` of every command line that a page shows."""
    lines = [code for code in CODE.findall(prose(page)) if code.startswith("vellum ")]
    for text in blocks(page, "console", "bash", "sh"):
        lines += re.sub(r"\\\n\s*", " ", text).splitlines()
    for line in lines:
        for part in re.split(r"&&|\|\||[|;>]| -- |\$\(|\)", line.strip().removeprefix("$ ").partition(" #")[0]):
            match = re.match(r"\s*(?:\.venv/bin/)?vellum (.+)", part)
            if match:
                yield shlex.split(match[1].replace("…", "x"))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_command_parses(page: Path) -> None:
    wrong = []
    for words in commands(page):
        try:
            _parse(words)
        except click.UsageError as error:
            wrong.append(f"vellum {shlex.join(words)}: {error.format_message()}")
    assert wrong == []


def _parse(words: list[str], group: click.Group = cli) -> None:
    if words[0].startswith("-"):
        group.make_parser(click.Context(group)).parse_args(list(words))
        return
    command = group.get_command(click.Context(group), words[0])
    if command is None:
        raise click.UsageError("the command does not exist")
    context = click.Context(command, info_name=words[0])
    if isinstance(command, click.Group) and words[1:]:
        _parse(words[1:], command)
        return
    given, left, _ = command.make_parser(context).parse_args(words[1:])
    for parameter in command.params:
        if isinstance(parameter.type, click.Choice) and isinstance(given.get(parameter.name or ""), str):
            parameter.type.convert(given[parameter.name or ""], parameter, context)
    if left:
        raise click.UsageError(f"too many arguments: {left}")


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_verb_of_make_exists(page: Path) -> None:
    verbs = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    shown = [code for code in CODE.findall(prose(page)) if code.startswith("make ")]
    shown += [line.removeprefix("$ ") for text in blocks(page, "console", "bash", "sh") for line in text.splitlines()]
    named = {word for line in shown for word in re.findall(r"^make ((?:[A-Z]+=\S+ )*)([a-z]+)", line)}
    assert sorted(verb for _, verb in named if verb not in verbs) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_claim_that_is_shown_is_valid(page: Path) -> None:
    for text in blocks(page, "yaml"):
        if re.search(r"^kind: (MLOps|Kubeflow)Platform", text, re.MULTILINE):
            loader.load(text.encode(), name(page))
        elif text.startswith("spec:"):
            loader.load((HEAD + text).encode(), name(page))


def test_every_example_claim_is_valid() -> None:
    claims = [
        file for file in sorted((ROOT / "examples").rglob("*.yaml")) if "kind:" in file.read_text(encoding="utf-8")
    ]
    assert claims
    for claim in claims:
        loader.read(claim)


def test_what_the_source_names_exists() -> None:
    """Messages and docstrings point to files and commands too."""
    wrong = []
    for file in sorted((ROOT / "src").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        wrong += [f"{name(file)}: {path}" for path in OURS.findall(text) if not _exists(path)]
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.keyword) and node.arg == "fix":
                message = " ".join(
                    part.value
                    for part in ast.walk(node.value)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                )
                wrong += [
                    f"{name(file)}: vellum {verb}"
                    for verb in re.findall(r"\bvellum ([a-z]+)", message)
                    if verb not in COMMANDS
                ]
    assert wrong == []
