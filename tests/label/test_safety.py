"""Attacks on the server of the label page, by who knows its address and by who does not."""

import json
import os
import random
import socket
import threading
from urllib.parse import urlsplit

import numpy as np
import pytest

from keypoints.label import server
from keypoints.label.session import Session
from keypoints.media.pictures import encode_png
from keypoints.web.server import HEADERS
from tests.label.test_server import FACE, ask, root, write

EVIL = ["a b.png", "=1+2.png", "<img src=x onerror=alert(1)>.png", '"q,;".png', "é%2e.png"]


@pytest.fixture
def opened(tmp_path):
    folder, page, outside = (tmp_path / name for name in ("pictures", "page", "outside"))
    for each in (folder, page, outside):
        each.mkdir()
    for name in ("index.html", "label.html"):
        (page / name).write_text(name)
    for name in ("a.png", *EVIL):
        (folder / name).write_bytes(encode_png(np.full((6, 9, 3), 50, np.uint8)))
    (outside / "secret.txt").write_text("TOP")
    (outside / "points.csv").write_text("TOP")
    (folder / "link.png").symlink_to(outside / "secret.txt")
    own, address = server.open_server(Session(folder, None), 0, page=page)
    with own:
        threading.Thread(target=own.serve_forever, args=[0.02], daemon=True).start()
        yield urlsplit(address), folder
        own.shutdown()
    assert (outside / "secret.txt").read_text() == (outside / "points.csv").read_text() == "TOP"
    assert sorted(path.name for path in outside.iterdir()) == ["points.csv", "secret.txt"]


def raw(url, text: str, body: bytes = b"") -> bytes:
    """What the server answers to these bytes, which no browser would send."""
    with socket.create_connection((url.hostname, url.port), timeout=20) as connection:
        connection.sendall(text.replace("\n", "\r\n").encode("latin-1") + body)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
        return answer


def version_of(url, name: str) -> str:
    found = json.loads(ask(url, f"{root(url)}/api/faces?name={name}")[1])
    return str(found["version"])


def test_the_token_is_new_each_time_and_long(tmp_path, opened):
    url, folder = opened
    other, address = server.open_server(Session(folder, None), 0, page=tmp_path / "page")
    other.server_close()
    tokens = {url.path.split("/")[1], urlsplit(address).path.split("/")[1]}
    assert len(tokens) == 2 and all(len(token) >= 32 for token in tokens)


def test_a_token_that_is_nearly_right(opened):
    url, _ = opened
    token = url.path.split("/")[1]
    wrong = [token[:-1], token + "a", token.swapcase(), token[::-1], f"x/{token}", ""]
    for each in (*wrong, f"{token}%00", f"%00{token}", f"{token};x", f".%2f{token}"):
        for path in ("label.html", "api/overview", "api/picture?name=a.png"):
            assert ask(url, f"/{each}/{path}")[0] in (400, 403), each


@pytest.mark.parametrize(
    "path",
    ["../../outside/secret.txt", "..%2f..%2foutside/secret.txt", "%2e%2e/%2e%2e/outside/secret.txt",
     "....//outside/secret.txt", "..\\outside\\secret.txt", "%252e%252e/outside/secret.txt",
     "label.html/../../pictures/a.png", "/etc/passwd", "file:///etc/passwd", "label.html%00",
     "a" * 5000],
)  # fmt: skip
def test_paths_that_lead_out(opened, path):
    url, _ = opened
    status, body, _ = ask(url, f"{root(url)}/{path}")
    assert status == 404 and b"TOP" not in body and b"root:" not in body
    for api in ("picture", "faces"):
        status, body, _ = ask(url, f"{root(url)}/api/{api}?name={path}")
        assert status == 422 and b"TOP" not in body and b"root:" not in body
    status, _, _ = write(url, {"name": path, "version": "", "faces": [FACE]})
    assert status == 422


def test_a_link_out_of_the_folder_shows_nothing_of_what_is_there(opened):
    url, _ = opened
    status, body, _ = ask(url, f"{root(url)}/api/picture?name=link.png")
    assert status == 422 and b"TOP" not in body


@pytest.mark.parametrize("file", ["points.csv", "markup.toml"])
def test_a_file_that_is_a_link_is_replaced_not_followed(opened, file):
    url, folder = opened
    (folder / file).symlink_to(folder.parent / "outside" / f"new-{file}")
    if file == "points.csv":
        body = {"name": "a.png", "version": version_of(url, "a.png"), "faces": [FACE]}
        assert write(url, body)[0] == 200
        assert not (folder / file).is_symlink() and (folder / file).is_file()
    else:  # the session has a markup: none is written
        body = {"name": "a.png", "names": ["a", "b"], "places": [[1, 1], [2, 3]], "pairs": []}
        assert write(url, body, path="/api/markup")[0] == 422


@pytest.mark.parametrize("name", ['a"\nname = "evil', "a\nb", "a\x7f", "a" * 65, "", " a", "\x00"])
def test_names_of_points_cannot_break_out_of_the_file(tmp_path, name):
    folder = tmp_path / "pictures"
    folder.mkdir()
    (folder / "a.png").write_bytes(encode_png(np.zeros((6, 9, 3), np.uint8)))
    (tmp_path / "page").mkdir()
    for page in ("index.html", "label.html"):
        (tmp_path / "page" / page).write_text(page)
    session = Session(folder, None, naming=True)
    own, address = server.open_server(session, 0, page=tmp_path / "page")
    with own:
        threading.Thread(target=own.serve_forever, args=[0.02], daemon=True).start()
        body = {"name": "a.png", "names": [name, "b"], "places": [[1, 1], [2, 3]], "pairs": []}
        status, answer, _ = write(urlsplit(address), body, path="/api/markup")
        own.shutdown()
    assert status == 422 and json.loads(answer)["error"]
    assert [path.name for path in folder.iterdir()] == ["a.png"]


def test_names_of_pictures_cannot_break_out_of_their_cell(opened):
    _, folder = opened
    for name in EVIL:
        session = Session(folder, None)
        faces = [FACE]
        session.accept(name, session.faces(name)["version"], faces)
        assert session.faces(name)["labelled"] and session.faces(name)["faces"] == faces
    assert len((folder / "points.csv").read_text("utf-8").splitlines()) == len(EVIL)


REQUEST = (
    "POST {path} HTTP/1.1\nHost: {host}\nOrigin: http://{host}\nContent-Type: application/json\n"
)


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("Content-Length: -5\n", b"400"), ("Content-Length: 99999999999\n", b"400"),
        ("Content-Length: 1e3\n", b"400"), ("Content-Length: \n", b"400"),
        ("Transfer-Encoding: chunked\n", b"400"), ("", b"400"),
    ],
)  # fmt: skip
def test_lengths_that_are_none(opened, lines, status):
    url, folder = opened
    head = REQUEST.format(path=f"{root(url)}/api/accept", host=url.netloc)
    answer = raw(url, head + lines + "\n", b"5\r\n{}\r\n0\r\n\r\n")
    assert answer.split(b" ", 2)[1] == status
    assert answer.count(b"HTTP/1.1 200") == 0
    assert not (folder / "points.csv").exists()


@pytest.mark.parametrize(
    "text",
    ["GET http://evil.example{path} HTTP/1.1\nHost: evil.example\n\n",
     "GET {path} HTTP/1.1\nHost: {host}@evil.example\n\n", "GET {path} HTTP/1.1\n\n",
     "GET {path} HTTP/1.1\nHost: evil.example\nHost: {host}\n\n", "GET {path}\n\n",
     "\x16\x03\x01\n\n"],
)  # fmt: skip
def test_requests_of_another_host_in_disguise(opened, text):
    url, _ = opened
    answer = raw(url, text.format(path=url.path, host=url.netloc))
    assert b"label.html" not in answer and b"200 OK" not in answer


def test_no_answer_may_be_read_or_framed_by_others(opened):
    url, _ = opened
    paths = [url.path, f"{root(url)}/api/overview", f"{root(url)}/api/picture?name=a.png"]
    for path in (*paths, "/wrong/label.html", f"{root(url)}/none"):
        headers = {name.lower(): value for name, value in ask(url, path)[2].items()}
        assert not [name for name in headers if name.startswith("access-control")]
        assert all(headers[name.lower()] == value for name, value in HEADERS.items())
    policy = HEADERS["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "form-action 'none'"} <= set(policy)
    assert not [part for part in policy if "unsafe-inline" in part or ("unsafe-eval'" in part
                and "wasm-unsafe-eval" not in part)]  # fmt: skip
    preflight = ask(url, paths[1], method="OPTIONS", Origin="http://evil.example")
    assert preflight[0] in (403, 501)


def test_whatever_is_sent_only_files_of_labels_are_written(opened):
    """300 requests at random, most of them nearly right."""
    url, folder = opened
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    rng = random.Random(0)
    odd = [None, True, -1, 1e999, "x", [], {}, [[1, 2]] * 68, FACE, [FACE], "../a.png", "a.png"]
    statuses = set()
    for _ in range(300):
        path = rng.choice(["accept", "propose", "pairs", "markup", "faces", "../accept"])
        body = {
            "name": "a.png", "version": version_of(url, "a.png"), "faces": [FACE],
            "box": [1, 1, 5, 5], "names": ["a", "b"], "places": [[1, 1], [2, 3]], "pairs": [],
        }  # fmt: skip
        for _ in range(rng.randrange(3)):
            body[rng.choice(list(body))] = rng.choice(odd)
        status, answer, _ = write(url, body, path=f"/api/{path}")
        statuses.add(status)
        assert status in (200, 400, 404, 409, 422), answer
    assert {200, 422} <= statuses
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert set(after) - set(before) <= {"points.csv", "rounds.tsv"}
    assert {name: after[name] for name in before} == before
    assert not [name for name in os.listdir(folder.parent) if name not in
                ("pictures", "page", "outside")]  # fmt: skip
