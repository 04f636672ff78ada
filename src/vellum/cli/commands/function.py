"""``vellum function``."""

from __future__ import annotations

import logging
import sys
from importlib.util import find_spec
from pathlib import Path

import click

from vellum.errors import UsageError


@click.command()
@click.option(
    "--address",
    default="",
    metavar="HOST:PORT",
    help="Where Crossplane calls: port 9443 of every address, or of loopback with --insecure.",
)
@click.option(
    "--tls-certs-dir",
    envvar="TLS_SERVER_CERTS_DIR",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of tls.crt, tls.key and ca.crt; callers must show a certificate of that CA.",
)
@click.option("--insecure", is_flag=True, help="Serve without TLS, for `crossplane render` and tests.")
@click.option("--metrics-address", default="", metavar="HOST:PORT", help="Serve Prometheus' metrics there.")
@click.option("--debug", is_flag=True, help="Say more.")
def command(address: str, tls_certs_dir: Path | None, metrics_address: str, *, insecure: bool, debug: bool) -> None:
    """Serve.

    Crossplane starts this command in its cluster. It needs the extra `function`, which excludes the extra `laptop`.
    """
    if find_spec("crossplane") is None:
        raise UsageError(
            "VEL706",
            "the function's libraries are not installed",
            where=sys.prefix,
            fix="install vellum-mlops[function] in a separate environment: kfp and Crossplane's SDK conflict",
        )
    if tls_certs_dir is None and not insecure:
        raise UsageError(
            "VEL707",
            "the folder of certificates is not named",
            where="--tls-certs-dir",
            fix="name the folder, or pass --insecure on your own machine",
        )
    from vellum.function.server import Settings, serve

    logging.basicConfig(
        stream=sys.stderr,
        level=logging.DEBUG if debug else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Requests carry the seed, so plain text must stay on this machine.
    address = address or ("127.0.0.1:9443" if insecure else "0.0.0.0:9443")
    serve(Settings(address, None if insecure else tls_certs_dir, metrics_address))
