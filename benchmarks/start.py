"""How long a warm ``vellum up`` takes, part by part through the gateway, and how much memory everything holds."""

from __future__ import annotations

import http.client
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.figures import Figure, Installation, installed, resident

ROUNDS = 5
SECONDS = 120
"""A start that takes longer ends the measurement with an error."""


def answers(url: str, ok: tuple[int, ...]) -> bool:
    """Ask once through the gateway, on loopback: many resolvers do not know names below ``localhost``."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path or "/", headers={"Host": parts.netloc})
        return connection.getresponse().status in ok
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def warm_start(installation: Installation, doors: dict[str, tuple[str, tuple[int, ...]]]) -> dict[str, float]:
    """Stop and start again; return the seconds from the command until each door answers, and until ``up`` returns."""
    installation.vellum("down")
    environment = {**os.environ, "VELLUM_STATE": str(installation.state)}
    began = time.perf_counter()
    up = subprocess.Popen(
        [sys.executable, "-m", "vellum.cli", "up"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    seen: dict[str, float] = {}
    while len(seen) < len(doors):
        for name, (url, ok) in doors.items():
            if name not in seen and answers(url, ok):
                seen[name] = time.perf_counter() - began
        if time.perf_counter() - began > SECONDS:
            raise TimeoutError(f"after {SECONDS} s these do not answer: {sorted(set(doors) - set(seen))}")
        time.sleep(0.01)
    up.wait()
    return {**seen, "up returns": time.perf_counter() - began}


def measure() -> Iterator[Figure]:
    """Yield the figures."""
    with installed() as installation:
        binding, objects = installation.binding(), installation.json("status")["objects"]
        endpoints = next(obj["status"]["endpoints"] for obj in objects if obj["kind"] == "MLOpsPlatform")
        doors: dict[str, tuple[str, tuple[int, ...]]] = {
            "S3": (binding["AWS_ENDPOINT_URL"], (403,)),
            "Qdrant": (f"{binding['QDRANT_URL']}/readyz", (200,)),
            "serving": (f"{binding['VELLUM_SEARCH_URL']}/v2/models/search/ready", (200,)),
            "JupyterLab": (f"{endpoints['notebook']}api/status", (403,)),
        }
        rounds = [warm_start(installation, doors) for _ in range(ROUNDS)]
        middle = {name: statistics.median(entry[name] for entry in rounds) for name in rounds[0]}
        how = f"median of {ROUNDS}, through the gateway"
        first = max(middle[name] for name in ("S3", "Qdrant", "serving"))
        yield Figure("Warm `vellum up`: S3, Qdrant and search answer", first, "s", 2.5, how=how)
        yield Figure("Warm `vellum up`: JupyterLab answers too", max(middle.values()), "s", 5, how=how)
        yield Figure(
            "Memory of all processes, including the supervisor", memory(installation), "MB", 650, how="after start"
        )


def memory(installation: Installation) -> float:
    """Return the resident memory of everything that runs, in MB."""
    pids = [process["pid"] for process in installation.processes().values()]
    pids.append(int((installation.state / "store.lock").read_text()))
    children = [int(pid) for parent in pids for pid in _children(parent)]
    return sum(resident(pid) for pid in {*pids, *children})


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
