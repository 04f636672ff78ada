"""A malicious page of a bucket cannot read a notebook, in a real browser that is signed in to the notebook."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import pytest
from tests.platform.browser import CHROMIUM, Page, browser
from tests.platform.harness import Installation
from tests.platform.test_notebook import address
from tests.platform.test_services import s3

pytestmark = [
    pytest.mark.laptop,
    pytest.mark.nightly,
    pytest.mark.timeout(600),
    pytest.mark.skipif(
        CHROMIUM is None, reason="no Chromium here; tests/platform/test_gateway_refusals.py holds the same by HTTP"
    ),
]
ATTACK = """
(async () => {
  const base = %s, old = %s, found = {};
  const tries = async (name, act) => {
    try { found[name] = String(await act()).slice(0, 20000) } catch (error) { found[name] = 'refused: ' + error.name }
  };
  const later = (ms) => new Promise(done => setTimeout(done, ms));
  for (const [where, path] of [[base, 'lab'], [base, 'api/contents'], [base, 'api/kernels'], [old, 'lab'], [old, 'api/contents']]) {
    for (const mode of ['cors', 'no-cors', 'same-origin'])
      await tries('fetch ' + mode + ' ' + where + path, async () => (await fetch(where + path, {credentials: 'include', mode})).text());
    await tries('post ' + where + path, async () => (await fetch(where + path, {method: 'POST', credentials: 'include', mode: 'no-cors', body: '{}'})).text());
    await tries('xhr ' + where + path, () => { const x = new XMLHttpRequest(); x.withCredentials = true; x.open('GET', where + path, false); x.send(); return x.responseText });
  }
  await tries('iframe', async () => { const f = document.createElement('iframe'); f.src = base + 'lab'; document.body.append(f); await later(2000); return f.contentWindow.document.documentElement.innerHTML });
  await tries('iframe old', async () => { const f = document.createElement('iframe'); f.src = old + 'lab'; document.body.append(f); await later(2000); return f.contentWindow.document.documentElement.innerHTML });
  await tries('window.open', async () => { const w = window.open(base + 'lab', 'w'); await later(2000); return w.document.documentElement.innerHTML });
  await tries('window.open localStorage', async () => { const w = window.open(base + 'api', 'v'); await later(1000); return JSON.stringify(w.localStorage) });
  await tries('socket', () => new Promise((done, fail) => { const s = new WebSocket(base.replace('http', 'ws') + 'api/events/subscribe'); s.onopen = () => done('open'); s.onerror = () => fail(new Error('x')) }));
  await tries('localStorage', () => JSON.stringify(localStorage));
  await tries('cookie', () => document.cookie);
  await tries('parent domain cookie', () => { document.cookie = 'planted=evil; domain=localhost; path=/'; return document.cookie });
  return JSON.stringify(found);
})()
"""
EVIL = "<!doctype html><title>evil</title><body><script>document.title='ran'; {attack}.then(f => document.title = f)</script>"


def attack(base: str) -> str:
    parts = urlsplit(base)
    return ATTACK % (json.dumps(base), json.dumps(f"http://127.0.0.1:{parts.port}{parts.path}"))


def got(values: dict[str, str], token: str) -> dict[str, str]:
    """Return the tries that read anything of the notebook."""
    signs = (token, "jupyter", '"content"', "_xsrf", "username-")
    return {
        name: text for name, text in values.items() if text == "open" or any(sign in text.lower() for sign in signs)
    }


def sign_in(page: Page, base: str, token: str) -> None:
    page.open(f"{base}lab?token={token}")
    assert page.run(f"fetch('{base}api/kernels').then(answer => answer.status)") == 200


def read(page: Page, base: str) -> dict[str, str]:
    result: dict[str, str] = json.loads(page.run(attack(base)))
    return result


def test_jupyterlab_works_in_a_browser_at_its_own_name(platform: Installation) -> None:
    """Control: the notebook's own page reads all that the malicious one must not, and its WebSocket opens."""
    base, token = address(platform)
    with browser() as page:
        parts = urlsplit(base)
        page.open(f"http://127.0.0.1:{parts.port}{parts.path}lab?token={token}")  # an old link redirects
        deadline = time.monotonic() + 60
        while (
            not page.run("!!document.querySelector('#jp-main-dock-panel, .jp-LabShell')")
            and time.monotonic() < deadline
        ):
            time.sleep(0.2)
        assert page.run("location.origin") == f"http://{parts.netloc}"
        assert page.run("!!document.querySelector('#jp-main-dock-panel, .jp-LabShell')")
        code = "new Promise((done) => {{ const s = new WebSocket('{}api/events/subscribe'); s.onopen = () => done('open'); s.onerror = () => done('no') }})"
        assert page.run(code.format(base.replace("http", "ws", 1))) == "open"
        result = read(page, base)
        assert {name.split()[0] for name in got(result, token)} >= {"fetch", "xhr", "iframe", "window.open", "socket"}


def test_an_evil_object_of_a_bucket_reads_nothing(platform: Installation) -> None:
    base, token = address(platform)
    binding = platform.binding("team-a")
    store, bucket = s3(binding), binding["VELLUM_BUCKET"]
    body = EVIL.format(attack=attack(base).strip()).encode()
    store.put_object(Bucket=bucket, Key="evil.html", Body=body, ContentType="text/html")
    url = store.generate_presigned_url("get_object", {"Bucket": bucket, "Key": "evil.html"})
    with browser() as page:
        sign_in(page, base, token)
        page.open(url)
        time.sleep(3)
        assert (page.run("document.title"), page.run("window.origin")) == ("evil", "null")
    store.delete_object(Bucket=bucket, Key="evil.html")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_scripts_at_the_gateways_origin_would_read_nothing(platform: Installation, host: str) -> None:
    """Also without the sandbox: the scripts run in a page of the gateway that is not sandboxed."""
    base, token = address(platform)
    model = urlsplit(platform.binding("team-a")["VELLUM_SEARCH_URL"])
    with browser() as page:
        sign_in(page, base, token)
        page.open(f"http://{host}:{model.port}{model.path}/v2")
        assert page.run("location.origin") == f"http://{host}:{model.port}"
        result = read(page, base)
        assert len(result) > 25
        assert got(result, token) == {}


def test_another_sites_page_reads_nothing_and_changes_nothing(platform: Installation) -> None:
    """A page of a stranger's server on this machine: another port, another name below localhost."""
    import http.server
    import threading

    class Strange(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>strange</title><body>")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    base, token = address(platform)
    model = platform.binding("team-a")["VELLUM_SEARCH_URL"]
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Strange)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with browser() as page:
            sign_in(page, base, token)
            page.open(f"http://notebook-evil.localhost:{server.server_port}/")
            assert page.run("document.title") == "strange"
            assert got(read(page, base), token) == {}
            for path in ("/v2/repository/models/search/unload", "/v1/models/search:predict"):
                page.run(f"fetch('{model}{path}', {{method: 'POST', mode: 'no-cors', body: 'x'}}).then(a => a.type)")
            page.open(f"{model}/v2/models/search/ready")
            assert '"ready":true' in page.run("document.body.innerText")
    finally:
        server.shutdown()
        server.server_close()
