import gzip
import json
import shutil
import socket
import threading
import urllib.error
import urllib.request

import pytest

from keypoints import pretrained
from keypoints.commands.cli import run_command
from keypoints.commands.web import web
from keypoints.errors import InputError
from keypoints.filters import list_filters
from keypoints.inference import centerface
from keypoints.web import server
from keypoints.web.models import models
from tools.page.constants import constants

NETWORKS = ("landmarks", "detector", "second")


@pytest.fixture
def address(tmp_path):
    (tmp_path / "index.html").write_text("<p>page</p>")
    (tmp_path / "a.wasm").write_bytes(b"plain")
    (tmp_path / "a.wasm.gz").write_bytes(b"packed")
    with server.open_server("127.0.0.1", 0, page=tmp_path) as opened:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{opened.server_address[1]}"
        opened.shutdown()


def test_files_have_their_type_and_the_page_is_isolated(address):
    with urllib.request.urlopen(f"{address}/") as answer:
        assert answer.read() == b"<p>page</p>"
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy


def test_packed_files_go_to_those_who_take_them(address):
    for encoding, body in (("gzip", b"packed"), ("identity", b"plain")):
        request = urllib.request.Request(f"{address}/a.wasm", headers={"Accept-Encoding": encoding})
        with urllib.request.urlopen(request) as answer:
            assert answer.read() == body
            assert answer.headers["Content-Type"] == "application/wasm"
            assert answer.headers["Content-Encoding"] == ("gzip" if encoding == "gzip" else None)
            assert answer.headers["Vary"] == "Accept-Encoding"
    with urllib.request.urlopen(f"{address}/") as answer:
        assert answer.headers["Vary"] is None


def ask(address: str, request: bytes) -> bytes:
    """All that the server sends for some bytes until it closes the connection."""
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(4096), b""))


@pytest.mark.parametrize(
    "request_line",
    [b"GET http://[ HTTP/1.1", b"HEAD http://[x HTTP/1.1", b"GET http://[1]x/ HTTP/1.1",
     b"GET", b"GET / HTTP/x", b"GET / HTTP/1.1 spare"],
)  # fmt: skip
def test_bad_requests_are_answered(address, request_line, capfd):
    answer = ask(address, request_line + b"\r\nHost: x\r\n\r\n")
    assert b" 400 " in answer.splitlines()[0] or b"Error code: 400" in answer
    with urllib.request.urlopen(f"{address}/") as page:  # it serves on
        assert page.read() == b"<p>page</p>"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("sent", [b"", b"GET / HT", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"])
def test_idle_connections_are_closed(address, sent, monkeypatch, capfd):
    assert server.PageHandler.timeout == server.IDLE
    monkeypatch.setattr(server.PageHandler, "timeout", 0.2)
    assert (b"200 OK" in ask(address, sent)) == sent.endswith(b"\n")
    assert capfd.readouterr().err == "" and 10 < server.IDLE < 120


@pytest.mark.parametrize("path", ["/../server.py", "/%2e%2e/server.py", "//etc/passwd", "/x"])
def test_nothing_else_is_served(address, path):
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(address + path)


def test_a_page_without_models_gets_those_of_the_packages(tmp_path, monkeypatch):
    (tmp_path / "index.html").write_text("<p>page</p>")
    monkeypatch.setattr(server, "PAGE", tmp_path)
    with server.open_server("127.0.0.1", 0, page=tmp_path) as opened:
        threading.Thread(target=opened.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{opened.server_address[1]}/models"
        bodies = [urllib.request.urlopen(f"{address}/{name}.onnx").read() for name in NETWORKS]
        packed = urllib.request.Request(f"{address}/landmarks.onnx")
        packed.add_header("Accept-Encoding", "gzip")
        with urllib.request.urlopen(packed) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert gzip.decompress(answer.read()) == bodies[0]
        opened.shutdown()
    expected = [
        (pretrained.NAMES["pretrained-small"] / "model-int8.onnx").read_bytes(),
        centerface.model_bytes(centerface.COMPACT),
        centerface.model_bytes(centerface.CENTERFACE),
    ]
    assert bodies == expected and len(set(bodies)) == 3


def test_a_damaged_model_is_not_served(tmp_path, monkeypatch):
    small = shutil.copytree(
        pretrained.NAMES["pretrained-small"], tmp_path / "small",
        ignore=shutil.ignore_patterns("weights"),
    )  # fmt: skip
    monkeypatch.setitem(pretrained.NAMES, "pretrained-small", small)
    assert len(models()) == 4
    with open(small / "model-int8.onnx", "r+b") as file:
        file.seek(5000)
        file.write(b"damaged")
    with pytest.raises(InputError, match="is damaged: its SHA-256 is not that of manifest"):
        models()


def test_the_page_has_only_onnx_files_of_faces(tmp_path, capsys):
    weights = pretrained.NAMES["pretrained-small"] / "weights"
    with pytest.raises(InputError, match="an ONNX file that finds the points of faces is expected"):
        models(str(weights))
    (tmp_path / "a.onnx").write_bytes(b"no model")
    with pytest.raises(SystemExit) as end:
        run_command(web, ["--port=0", f"--model={tmp_path / 'a.onnx'}"])
    assert end.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_a_page_that_is_not_built_exits_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(server.open_server.__kwdefaults__, "page", tmp_path)
    with pytest.raises(SystemExit) as end:
        run_command(web, ["--port=0"])
    error = capsys.readouterr().err
    assert end.value.code == 2 and error.count("\n") == 1
    assert "the page is not built; `make web` builds it" in error


def test_a_port_that_is_taken_exits_2(address, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(server.open_server.__kwdefaults__, "page", tmp_path)  # of `address`
    with pytest.raises(SystemExit) as end:
        run_command(web, [f"--port={address.rpartition(':')[2]}"])
    assert end.value.code == 2 and "cannot listen" in capsys.readouterr().err


def test_constants_are_plain_and_name_all_filters():
    values = constants()
    assert values["smoothing"]["speed_gain"] == 120.0
    assert values["head"]["jaw"] == list(range(17)) and len(values["head"]["mean_shape"]) == 68
    points = json.loads(models()["models/model.json"])
    assert points["count"] == 68 and points["whole"] and points["crop_scale"] == 1.4
    assert points["eyes"] == list(range(36, 48)) and points["mouth"] == list(range(48, 68))
    assert [list(range(36, 42)), True] in points["outlines"]
    assert points["filters"] == list_filters() and points["columns"][-1] == "origin"
    layers = {spec["name"]: spec["layers"] for spec in values["filters"]}
    assert layers["sunglasses"][0]["art"] == "filters/sunglasses/temple.png"
    assert layers["pixelate"] == [{"kind": "pixelate", "margin": 0.12, "blocks": 6.0}]
