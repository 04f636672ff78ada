"""Imports point down, late imports too, and strings: one table lists what each part may use."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

SOURCE = Path(__file__).parents[2] / "src/vellum"
LAYERS = (
    ("cli",),
    ("bench",),
    ("laptop", "cluster", "function", "package", "reports"),
    ("controlplane",),
    ("compose",),
    ("api",),
    ("components",),
    ("objectstore",),
    ("model",),
    ("kube",),
    ("errors",),
)
"""Layer by layer; parts of one layer do not import each other."""
BESIDE = {
    "host": {"model", "kube", "connect", "errors"},
    "workloads": {"connect", "errors"},
    "connect": {"errors"},
    "oci": {"errors"},
}
"""The parts outside the layers, and what each may import besides itself."""
USED = {
    "connect": ("cli", "laptop", "bench", "compose", "components"),
    "host": ("cli", "laptop", "bench"),
    "oci": ("cli", "bench", "cluster", "package"),
}
"""Which layers may import a part outside the layers; none imports ``workloads``, which run as programs."""
PARTS = [part for layer in LAYERS for part in layer]
EVERYWHERE = {"_version", ""}
"""``from vellum import __version__`` does not count as an import."""
PROGRAMS = {"workloads", "cli"}
"""Any part may name a module of these in a string, because it runs as a program: ``python -m vellum.workloads.search``."""
MODULE = re.compile(r"(?<![\w.])vellum\.(\w+)(?![\w.]*\.dev)")
COMMAND = re.compile(r"\bvellum bench\b")
"""Every part may advise a command of the laptop; the advice for a bench comes from the bench or from ``cli``."""


def allowed(part: str) -> set[str]:
    """Return what a part of the package may import."""
    if part in PARTS:
        number = next(number for number, layer in enumerate(LAYERS) if part in layer)
        below = {part, *(other for layer in LAYERS[number + 1 :] for other in layer)}
    else:
        below = {part, *BESIDE[part]}
    extra = {other for other, users in USED.items() if part in users}
    return below | extra | EVERYWHERE


def imports(file: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, part) of every import of ours in a file, wherever it stands."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            assert node.level == 0, f"{file}:{node.lineno}: imports name the whole path"
            names = [node.module or ""]
            if node.module == "vellum":
                names = [f"vellum.{alias.name}" for alias in node.names if not alias.name.startswith("__")]
        for name in names:
            top, _, rest = name.partition(".")
            if top == "vellum":
                yield node.lineno, rest.split(".")[0]


def strings(file: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, text) of every string of a file that is not a docstring or a bare string."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in bare:
            yield node.lineno, node.value


def named(file: Path) -> Iterator[tuple[int, str]]:
    """Yield (line, part) of every part whose modules or commands the strings of a file name."""
    for line, text in strings(file):
        for name in MODULE.findall(text):
            if name in {*PARTS, *BESIDE}:
                yield line, name
        if COMMAND.search(text):
            yield line, "bench"


def _part(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


def _inside() -> list[Path]:
    return [file for file in sorted(SOURCE.rglob("*.py")) if _part(file) not in ("__init__", "_version")]


def test_every_part_has_its_place() -> None:
    assert {_part(file) for file in _inside()} <= {*PARTS, *BESIDE}


def test_imports_point_down() -> None:
    wrong = [
        f"{file.relative_to(SOURCE)}:{line} imports {name}"
        for file in _inside()
        for line, name in imports(file)
        if name not in allowed(_part(file))
    ]
    assert wrong == []


def test_strings_point_down_too() -> None:
    """A module or a command in a string is a dependency that no import shows."""
    wrong = [
        f"{file.relative_to(SOURCE)}:{line} names {name}"
        for file in _inside()
        for line, name in named(file)
        if name not in allowed(_part(file)) | PROGRAMS
    ]
    assert wrong == []


def test_one_module_names_each_kind() -> None:
    places = {
        kind: [str(file.relative_to(SOURCE)) for file in _inside() if kind in (text for _, text in strings(file))]
        for kind in ("MLOpsPlatform", "KubeflowPlatform")
    }
    assert places == {"MLOpsPlatform": ["model/team.py"], "KubeflowPlatform": ["model/platform.py"]}


def test_the_top_of_the_package_imports_only_what_it_exports() -> None:
    assert {name for _, name in imports(SOURCE / "__init__.py")} <= {"_version", "errors", "connect"}


def test_late_imports_count_too(tmp_path: Path) -> None:
    file = tmp_path / "late.py"
    file.write_text("def f():\n    from vellum.cli import main\n    import vellum.host.pki\n")
    assert [name for _, name in imports(file)] == ["cli", "host"]


def test_a_string_counts_wherever_it_is(tmp_path: Path) -> None:
    file = tmp_path / "names.py"
    file.write_text(
        '"""vellum.cluster in a docstring."""\nA = ("-m", "vellum.laptop.daemon")\n'
        'B = f"run `vellum bench status` {A}"\nC = "platform.vellum.dev and vellum.dev/v1"\n'
    )
    assert list(named(file)) == [(2, "laptop"), (3, "bench")]


def test_the_pass_over_a_release_gets_values_and_not_the_platform() -> None:
    helm = (SOURCE / "compose/helm").glob("*.py")
    assert {name for file in helm for _, name in imports(file)} <= {"compose", "kube", "model"}
