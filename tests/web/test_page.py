"""The built browser page: its own tests, in Node.js and in Chromium, beside the Python code."""

import os
import shutil
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from keypoints.web.server import PAGE, open_server
from tests.web.vectors import write_vectors

WEB = Path(__file__).parents[2] / "web"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (PAGE / "index.html").is_file() or not (WEB / "node_modules").is_dir(),
        reason="the page is not built: `make web` needs Node.js 20.19 or newer",
    ),
]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def vectors(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    write_vectors(folder)
    return folder


def run(*files: str, vectors: Path, **variables: str) -> None:
    home = vectors / "home"  # npm and Chromium write there
    home.mkdir(exist_ok=True)
    folders = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)}
    command = ["npx", "vitest", "run", *(f"tests/{file}.test.ts" for file in files)]
    done = subprocess.run(
        command, cwd=WEB, capture_output=True, text=True,
        env={**os.environ, "VECTORS": str(vectors), "NO_COLOR": "1", **folders, **variables},
    )  # fmt: skip
    print(done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr


def test_units_answer_as_python_does(vectors):
    run("geometry", "detector", "tracking", "filters", "editor", vectors=vectors)


@pytest.mark.long
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: `apt-get install chromium`")
def test_the_page_in_chromium(vectors):
    plain = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(PAGE)))
    other = open_server("127.0.0.1", 0, model=str(vectors / "own.onnx"))
    with open_server("127.0.0.1", 0) as server, plain, other:
        servers = {"PAGE": server, "STATIC": plain, "OWN": other}
        for each in servers.values():
            threading.Thread(target=each.serve_forever, daemon=True).start()
        places = {n: f"http://127.0.0.1:{s.server_address[1]}/" for n, s in servers.items()}
        run("browser", vectors=vectors, CHROMIUM=CHROMIUM, **places)
        for each in servers.values():
            each.shutdown()
