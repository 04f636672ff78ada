"""``vellum search``."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit

import click

from vellum.cli import options, teams
from vellum.connect.sources import connect
from vellum.errors import WorkloadError


@click.command()
@click.argument("question")
@teams.team_option
@click.option("--limit", "-n", type=click.IntRange(1, 50), default=5, show_default=True, help="The most answers.")
@options.output
def command(question: str, team: str | None, limit: int, output: str) -> None:
    """Ask.

    The question goes through the gateway to the team's KServe model, which finds passages in the ingested documents. If
    no passage answers the whole question, the command says so and shows the nearest.
    """
    result = ask(str(connect(team).require("VELLUM_SEARCH_URL").VELLUM_SEARCH_URL), question, limit)
    if output == "json":
        click.echo(json.dumps(result))
        return
    if result["message"]:
        click.echo(result["message"][:1].upper() + result["message"][1:] + ("; nearest:" if result["near"] else ""))
    for number, answer in enumerate(result["answers"] or result["near"], 1):
        place = click.style(f"{options.printable(answer['document'])}, page {answer['page']}", bold=True)
        snippet = options.printable(" ".join(answer["snippet"].split()))
        click.echo(f"{number}. {place}  ({answer['score']:.1f})\n   {snippet}")


def ask(url: str, question: str, limit: int) -> dict[str, Any]:
    """Return the model's prediction for one question by KServe's v1 protocol.

    Raises:
        WorkloadError: the model refuses the question (VEL542) or does not answer (VEL541).
    """
    parts = urlsplit(url)
    body = json.dumps({"instances": [{"question": question, "limit": limit}]})
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
    try:
        path = f"{parts.path}/v1/models/search:predict"
        connection.request("POST", path, body, {"Content-Type": "application/json"})
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as cause:
        raise _silent(url, str(cause)) from cause
    finally:
        connection.close()
    if response.status >= http.HTTPStatus.INTERNAL_SERVER_ERROR:
        raise _silent(url, f"status {response.status}")
    if response.status != http.HTTPStatus.OK:
        raise WorkloadError(
            "VEL542", f"the model refuses the question: {_words(answer)}", where=url, fix="change the question"
        )
    result: dict[str, Any] = json.loads(answer)["predictions"][0]
    return result


def _silent(url: str, why: str) -> WorkloadError:
    return WorkloadError(
        "VEL541",
        f"the search model does not answer: {why}",
        where=url,
        fix="see `vellum status` and `vellum logs search`",
    )


def _words(answer: bytes) -> str:
    try:
        value = json.loads(answer)
    except ValueError:
        return answer.decode(errors="replace")[:200]
    return str(value.get("error", value)) if isinstance(value, dict) else str(value)
