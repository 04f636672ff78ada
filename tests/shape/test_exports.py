"""The package's surface: what ``vellum`` exports exists and is typed, and every module has a docstring."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import vellum

SOURCE = Path(vellum.__file__).parent
WITHOUT_FUTURE = {
    "_version.py",
    "host/launch.py",  # run by path, isolated, in front of every service
    "host/reaper.py",  # run by path, isolated
    "workloads/ingest/pipeline.py",  # kfp reads annotations as values
}
MODULES = sorted(SOURCE.rglob("*.py"))


def _name(file: Path) -> str:
    return str(file.relative_to(SOURCE))


def test_what_is_exported_exists() -> None:
    assert vellum.__all__ == sorted(vellum.__all__)
    for name in vellum.__all__:
        assert getattr(vellum, name) is not None
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = vellum.nothing


def test_the_package_is_typed() -> None:
    assert (SOURCE / "py.typed").is_file()


def test_every_folder_is_a_package() -> None:
    folders = {file.parent for file in MODULES}
    assert [folder for folder in folders if not (folder / "__init__.py").is_file()] == []


@pytest.mark.parametrize("file", MODULES, ids=_name)
def test_a_module_says_what_it_is_for(file: Path) -> None:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    text = ast.get_docstring(tree)
    assert text, "a docstring says what the module is for"
    assert text.splitlines()[0].rstrip()[-1] in ".:?!", "its first line is a sentence"
    has_code = any(not isinstance(node, ast.Expr) for node in tree.body)
    assert not has_code or _future(tree) != (_name(file) in WITHOUT_FUTURE)


def _future(tree: ast.Module) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "__future__" for node in tree.body)


def test_the_package_itself_imports_nothing_heavy() -> None:
    code = (
        "import sys, vellum; print(sorted({'pydantic', 'yaml', 'click', 'kfp', 'boto3', 'asyncio'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "[]\n"


def test_our_own_python_never_looks_for_modules_in_the_current_folder() -> None:
    """``-m`` puts the current folder first, which is a user's home or the folder of their documents."""
    wrong = []
    for file in MODULES:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.List | ast.Tuple):
                continue
            words = [ast.unparse(element) for element in node.elts]
            # "python" is the Python of a container image, whose folder no user can write.
            if "'-m'" in words and "'-P'" not in words and words[0] != "'python'":
                wrong.append(f"{_name(file)}:{node.lineno}")
    assert wrong == []


def constants(tree: ast.Module) -> set[str]:
    targets = [
        target
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    return {name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}


def test_every_constant_is_read_by_somebody() -> None:
    files = [*MODULES, *Path(__file__).parents[1].rglob("*.py")]
    trees = {file: ast.parse(file.read_text(encoding="utf-8")) for file in files}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    read = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    read |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    unread = {f"{_name(file)}: {name}" for file in MODULES for name in constants(trees[file]) if name.isupper()}
    assert sorted(entry for entry in unread if entry.rpartition(" ")[2] not in read) == []
