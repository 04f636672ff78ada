"""Run health checks in Lua, as Argo CD does, and in CEL, as Flux does; in the validators' environment, for validators.py."""

from __future__ import annotations

import json
import sys
from typing import Any

import celpy
from lupa.lua51 import LuaRuntime


def lua(text: str, obj: Any) -> list[str]:
    """Return status and message; Argo CD's interpreter is of Lua 5.1 too."""
    runtime = LuaRuntime()
    runtime.globals().obj = table(runtime, obj)
    message = runtime.execute(text)
    return [message["status"], message["message"] or ""]


def table(runtime: Any, value: Any) -> Any:
    if isinstance(value, dict):
        return runtime.table_from({name: table(runtime, inner) for name, inner in value.items()})
    if isinstance(value, list):
        return runtime.table_from([table(runtime, inner) for inner in value])
    return value


def cel(text: str, obj: Any) -> bool | str:
    """Return the answer; an error, as of a field that is not there, makes Flux ask again."""
    environment = celpy.Environment()
    program = environment.program(environment.compile(text))
    try:
        return bool(program.evaluate({name: celpy.json_to_cel(value) for name, value in obj.items()}))
    except celpy.CELEvalError:
        return "again"


if __name__ == "__main__":
    cases = json.load(sys.stdin)
    json.dump([lua(text, obj) if language == "lua" else cel(text, obj) for language, text, obj in cases], sys.stdout)
