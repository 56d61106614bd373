"""Who may read and write, and what: the server is tried as a stranger would."""

import http.client
import json
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest

from keypoints.commands.cli import run_command
from keypoints.commands.label import label
from keypoints.label import server
from keypoints.label.session import Session
from keypoints.media.pictures import encode_png


@pytest.fixture
def opened(tmp_path, monkeypatch):
    folder, page = tmp_path / "pictures", tmp_path / "page"
    folder.mkdir()
    page.mkdir()
    for name in ("index.html", "label.html"):
        (page / name).write_text(name)
    (folder / "a.png").write_bytes(encode_png(np.full((6, 9, 3), 50, np.uint8)))
    session = Session(folder, None)  # type: ignore[arg-type]
    monkeypatch.setattr(session, "propose", lambda name: [])
    opened, address = server.open_server(session, 0, page=page)
    with opened:
        threading.Thread(target=opened.serve_forever, args=[0.02], daemon=True).start()
        yield urlsplit(address), folder
        opened.shutdown()


def ask(url, path, *, method="GET", body=None, **headers):
    connection = http.client.HTTPConnection(url.hostname, url.port, timeout=20)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, body=data, headers=headers)
    answer = connection.getresponse()
    return answer.status, answer.read(), dict(answer.headers)


def root(url):
    return url.path.rpartition("/")[0]


def write(url, body, path="/api/accept", **headers):
    own = {"Content_Type": "application/json", "Origin": f"http://{url.netloc}"} | headers
    own = {name: value for name, value in own.items() if value is not None}
    return ask(url, root(url) + path, method="POST", body=body, **own)


FACE = {"points": [[float(i), float(i + 1)] for i in range(68)], "covered": [2]}


def accepted(url, **changes):
    version = json.loads(ask(url, f"{root(url)}/api/faces?name=a.png")[1])["version"]
    return {"name": "a.png", "version": version, "faces": [FACE]} | changes


def test_the_page_its_picture_and_an_accepted_face(opened):
    url, folder = opened
    assert url.hostname == "127.0.0.1" and len(url.path.split("/")[1]) >= 32
    status, body, headers = ask(url, url.path)
    assert (status, body) == (200, b"label.html")
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    status, body, headers = ask(url, f"{root(url)}/api/picture?name=a.png")
    assert status == 200 and body.startswith(b"\x89PNG") and headers["Content-Type"] == "image/png"
    assert json.loads(ask(url, f"{root(url)}/api/next")[1]) == {"name": "a.png"}
    status, body, _ = write(url, accepted(url))
    assert status == 200 and json.loads(body)["version"]
    assert (folder / "points.csv").read_text().startswith("a.png,0.000,1.000,1.000,2.000,")
    assert json.loads(ask(url, f"{root(url)}/api/next")[1]) == {"name": None}
    lines = json.loads(ask(url, f"{root(url)}/api/rounds")[1])["lines"]
    assert len(lines) == 2 and lines[1].split()[:2] == ["1", "1"]


@pytest.mark.parametrize(
    "path",
    ["/", "/label.html", "/wrong/label.html", "/wrong/api/overview", "//", "/%2e%2e/", "/%C3%A9/"],
)
def test_nothing_without_the_token(opened, path):
    url, _ = opened
    assert ask(url, path)[0] in (400, 403)


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:1", "localhost.evil.example", ""]
)
def test_another_host_is_refused(opened, host):
    """A name of somebody else's that leads to this machine (DNS rebinding)."""
    url, _ = opened
    assert ask(url, url.path, Host=host)[0] == 403
    body = accepted(url)
    assert write(url, body, Host=host, Origin=f"http://{host}")[0] == 403


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://127.0.0.1", "http://localhost:1"]
)
def test_another_origin_writes_nothing(opened, origin):
    url, folder = opened
    assert write(url, accepted(url), Origin=origin)[0] == 403
    assert not (folder / "points.csv").exists()
    if origin is not None:
        assert ask(url, f"{root(url)}/api/overview", Origin=origin)[0] == 403


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"name": "../a.png"}, 422), ({"name": "b.png"}, 422), ({"version": "other"}, 409),
        ({"faces": "all"}, 422), ({"faces": [5]}, 422),
        ({"faces": [FACE | {"points": [None] * 68}]}, 422),
        ({"faces": [FACE | {"points": [[1e300, 0]] * 68}]}, 422),
        ({"faces": [FACE | {"covered": ["2"]}]}, 422),
    ],
)  # fmt: skip
def test_wrong_faces_are_refused_in_words(opened, changes, status):
    url, folder = opened
    found, body, _ = write(url, accepted(url, **changes))
    assert found == status and json.loads(body)["error"]
    assert not (folder / "points.csv").exists()


def test_bodies_that_are_none(opened):
    url, folder = opened
    nested = b"[" * 200_000
    for body in (b"", b"no", b"[1]", nested, b'{"name": NaN}', b"\xff\xfe"):
        assert write(url, body)[0] in (400, 422)
    assert write(url, accepted(url), Content_Type="text/plain")[0] == 400
    assert write(url, b"", Content_Length=str(2**20 + 1))[0] == 400
    assert write(url, accepted(url), path="/api/none")[0] == 404
    for method in ("PUT", "DELETE", "OPTIONS", "HEAD"):
        assert ask(url, url.path, method=method)[0] in (405, 501)
    assert sorted(path.name for path in folder.iterdir()) == ["a.png"]


@pytest.mark.parametrize(
    "name", ["../pictures/a.png", "/etc/passwd", "a.png%00", "..%2f..%2fpage%2flabel.html"]
)
def test_no_other_file_is_read(opened, name):
    url, _ = opened
    assert ask(url, f"{root(url)}/api/picture?name={name}")[0] == 422
    assert ask(url, f"{root(url)}/{name}")[0] == 404


def test_a_box_that_is_none_is_refused(opened):
    url, _ = opened
    for box in ([], [0, 0, 0, 5], [0, 0, 1], ["0", 0, 5, 5], None, [1e9, 0, 5, 5]):
        assert write(url, {"name": "a.png", "box": box}, path="/api/propose")[0] == 422


def test_the_command_says_what_is_wrong(tmp_path, capsys):
    for argv in ([str(tmp_path / "none")], [str(tmp_path)], [str(tmp_path), "--port=99999"]):
        with pytest.raises(SystemExit) as end:
            run_command(label, argv)
        error = capsys.readouterr().err
        assert end.value.code == 2 and error.count("\n") == 1 and "Traceback" not in error
