"""The real Crossplane on a real API server, used as users do: with ``vellum bench`` and kubectl."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vellum.cli.watching import is_ready
from vellum.kube.objects import Obj
from vellum.model.team import Team

ROOT = Path(__file__).parents[2]
CLAIM = "mlopsplatform"


@dataclass(frozen=True)
class Bench:
    """One bench and the command lines that work on it."""

    root: Path
    kubeconfig: str = ""
    program: str = "kubectl"
    s3: str = ""

    def vellum(
        self, *arguments: str, check: bool = True, before: Sequence[str] = ()
    ) -> subprocess.CompletedProcess[str]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("VELLUM_")}
        environment["VELLUM_BENCH"] = str(self.root)
        argv = [*before, sys.executable, "-m", "vellum.cli", "bench", *arguments]
        done = subprocess.run(argv, env=environment, capture_output=True, text=True, timeout=3600, check=False)
        if check and done.returncode != 0:
            pytest.fail(f"vellum bench {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return done

    def kubectl(self, *arguments: str, given: str | None = None, check: bool = True) -> str:
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.root), "KUBECONFIG": self.kubeconfig}
        done = subprocess.run(
            [self.program, *arguments],
            env=environment,
            input=given,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        if check and done.returncode != 0:
            pytest.fail(f"kubectl {' '.join(arguments)} ended with {done.returncode}:\n{done.stderr}")
        return done.stdout if check else done.stdout + done.stderr

    def apply(self, *objects: Obj, check: bool = True) -> str:
        return self.kubectl(
            "apply",
            "--server-side",
            "--field-manager=person",
            "-f",
            "-",
            given="\n---\n".join(map(json.dumps, objects)),
            check=check,
        )

    def get(self, kind: str, name: str, namespace: str = "") -> Obj | None:
        where = ("-n", namespace) if namespace else ()
        result = self.kubectl("get", kind, name, *where, "--ignore-not-found", "-o", "json")
        return dict(json.loads(result)) if result else None

    def list(self, kind: str, *more: str) -> list[Obj]:
        return list(json.loads(self.kubectl("get", kind, *more, "-o", "json"))["items"])

    def claim(self, name: str, *, wait: float = 60, **spec: Any) -> Team:
        """Apply a claim as a user would, and wait until it is Ready."""
        self.apply(claim(name, **spec))
        if wait:
            self.ready(name, wait)
        return self.team(name)

    def team(self, name: str, namespace: str = "default") -> Team:
        result = self.get(CLAIM, name, namespace)
        assert result is not None
        composite = self.get("xmlopsplatform", result["spec"]["resourceRef"]["name"])
        assert composite is not None
        return Team(namespace, name, composite["metadata"]["uid"])

    def ready(self, name: str, seconds: float = 60) -> Obj:
        """Return the claim once it is Ready as it is written now, and so is its composite."""

        def found() -> Obj | None:
            claim = self.get(CLAIM, name, "default")
            if claim is None or not is_ready(claim):
                return None
            # Crossplane calls an edited claim Ready when it has copied it; its composite still says what it was
            # before (2.3.4, claim/reconciler.go: it asks for no generation of the composite's condition).
            composite = self.get("xmlopsplatform", claim["spec"]["resourceRef"]["name"])
            if composite is None or not is_ready(composite):
                return None
            same = claim["status"].get("components") == composite["status"].get("components")
            return claim if same else None

        claim: Obj = until(found, seconds, lambda: self.kubectl("describe", CLAIM, name))
        return claim

    def delete(self, name: str, seconds: float = 60) -> None:
        self.kubectl("delete", CLAIM, name, "--ignore-not-found", f"--timeout={seconds}s")

    def waits_for(self, name: str) -> str:
        return str(condition(self.get(CLAIM, name, "default"), "PartsReady").get("message", ""))


def claim(name: str, **spec: Any) -> Obj:
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "platform.vellum.dev/v1alpha1", "kind": "MLOpsPlatform", "metadata": metadata, "spec": spec}


def condition(obj: Obj | None, kind: str) -> Mapping[str, Any]:
    conditions = ((obj or {}).get("status") or {}).get("conditions") or ()
    return next((entry for entry in conditions if entry["type"] == kind), {})


def until(done: Callable[[], Any], seconds: float, say: Callable[[], str] = str) -> Any:
    """Return the first true answer; fail with the reason if none comes."""
    deadline = time.monotonic() + seconds
    while not (answer := done()):
        if time.monotonic() > deadline:
            pytest.fail(f"did not happen within {seconds} s\n{say()}")
        time.sleep(0.05)
    return answer


def new_bench(*arguments: str) -> Iterator[Bench]:
    """Yield a running bench, started with these arguments; delete all of it afterwards, even if a test failed."""
    root = Path(tempfile.mkdtemp(prefix="vellum-bench-"))
    empty = Bench(root)
    try:
        result = json.loads(empty.vellum("up", *arguments, "--output", "json").stdout)
        yield Bench(root, result["kubeconfig"], result["kubectl"], result["s3"])
    finally:
        empty.vellum("down", check=False)
        shutil.rmtree(root, ignore_errors=True)
