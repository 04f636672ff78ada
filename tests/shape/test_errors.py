"""Every error has a page, every page an error, and every error says what to do next."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import vellum
from vellum import errors

SOURCE = Path(vellum.__file__).parent
PAGES = SOURCE.parents[1] / "docs/errors"
RANGES = {
    "ClaimError": "1",
    "MistakesError": "1",
    "ComposeError": "2",
    "StoreError": "3",
    "LaptopError": "4",
    "WorkloadError": "5",
    "BindingError": "6",
    "UsageError": "7",
    "FunctionError": "8",
    "BenchError": "9",
}
CODE = re.compile(r"VEL\d{3}")


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for file in sorted(SOURCE.rglob("*.py")):
        yield file, ast.parse(file.read_text(encoding="utf-8"))


def texts(tree: ast.AST) -> Iterator[str]:
    """Yield the strings of a tree that are code and not documentation."""
    documented = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documented:
            yield node.value


def raised() -> set[str]:
    return {code for _, tree in trees() for text in texts(tree) for code in CODE.findall(text)}


def documented() -> list[str]:
    headings = re.compile(r"^## (VEL\d{3}) \S", re.MULTILINE)
    return [code for page in PAGES.glob("*.md") for code in headings.findall(page.read_text(encoding="utf-8"))]


def calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield (file:line, call) for every error that is made in the source."""
    for file, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in RANGES:
                yield f"{file.relative_to(SOURCE)}:{node.lineno}", node


def test_every_code_has_a_page() -> None:
    assert sorted(raised() - set(documented())) == []


def test_every_page_has_a_code() -> None:
    retired = set(re.findall(r"^## (VEL\d{3}) \S.*\(retired\)$", _all_pages(), re.MULTILINE))
    assert sorted(set(documented()) - raised() - retired) == []


def test_a_code_is_documented_once() -> None:
    assert len(documented()) == len(set(documented()))


def _all_pages() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in sorted(PAGES.glob("*.md")))


def test_the_first_digit_of_a_code_is_that_of_its_class() -> None:
    wrong = []
    for place, call in calls():
        code = call.args[0] if call.args else None
        if isinstance(code, ast.Constant) and isinstance(code.value, str):
            kind = call.func.id if isinstance(call.func, ast.Name) else ""
            if not CODE.fullmatch(code.value) or code.value[3] != RANGES[kind]:
                wrong.append(f"{place}: {kind} with {code.value}")
    assert wrong == []


def test_every_error_says_where_and_what_to_do_next() -> None:
    wrong = []
    for place, call in calls():
        given = {keyword.arg: keyword.value for keyword in call.keywords}
        if len(call.args) > 1 and not {"where", "fix"} <= given.keys():
            wrong.append(place)
        if any(isinstance(value, ast.Constant) and not value.value for value in given.values()):
            wrong.append(f"{place}: empty")
    assert wrong == []


def test_every_class_has_a_range() -> None:
    classes = {
        name
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, errors.VellumError) and kind is not errors.VellumError
    }
    assert classes <= RANGES.keys()


def test_an_error_is_one_line_and_plain_data() -> None:
    error = errors.ClaimError("VEL112", "the field is missing", where="a.yaml:3", fix="write size")
    assert str(error) == "VEL112: the field is missing (a.yaml:3)"
    assert error.as_dict() == {
        "code": "VEL112",
        "what": "the field is missing",
        "where": "a.yaml:3",
        "fix": "write size",
    }
