"""The server of the label page: one folder, on this machine, for who knows the address.

Requests need the random token in their path, a `Host` of this machine, and, to write, this page's
`Origin`. Nothing but the session's files of labels is written.
"""

import hmac
import http.server
import json
import secrets
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import numpy as np

from keypoints.errors import InputError
from keypoints.label import rounds
from keypoints.label.session import Conflict, Session
from keypoints.media.pictures import encode_png
from keypoints.web.server import PAGE, PageHandler, listen, page_files

HOST = "127.0.0.1"
MOST_BYTES = 2**20  # of a request
PAGE_NAME = "label.html"


def open_server(
    session: Session, port: int, *, page: Path = PAGE
) -> tuple[http.server.ThreadingHTTPServer, str]:
    """A server that listens on `port` (0: a free one), and its address.

    Raises InputError where the page is not built, and where the port cannot be used.
    """
    token = secrets.token_urlsafe(24)
    files = {name: file for name, file in page_files(page).items() if not name.startswith("models")}

    class Handler(_Handler):
        content, own_session, own_token = files, session, token

    server = listen(HOST, port, Handler)
    return server, f"http://{HOST}:{server.server_address[1]}/{token}/{PAGE_NAME}"


class _Handler(PageHandler):
    own_session: Session
    own_token: str

    def do_GET(self) -> None:
        name = self._allowed(writes=False)
        if name is None:
            return
        if not name.startswith("api/"):
            self.answer_file(name or PAGE_NAME)
            return
        session, names = self.own_session, self._query()
        answers: dict[str, Callable[[], Any]] = {
            "api/overview": session.overview,
            "api/next": lambda: {"name": session.next_picture(names.get("after"))},
            "api/rounds": lambda: {"lines": rounds.summary(rounds.read(session.folder))},
            "api/faces": lambda: session.faces(names.get("name", "")),
            "api/picture": lambda: encode_png(session.image(names.get("name", ""))),
        }
        self._answer_with(answers.get(name))

    def do_HEAD(self) -> None:
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)

    def do_POST(self) -> None:
        name = self._allowed(writes=True)
        if name is None:
            return
        values = self._body()
        if values is None:
            self._refuse(HTTPStatus.BAD_REQUEST, "a JSON object of at most 1 MB is expected")
            return
        session, picture = self.own_session, str(values.get("name", ""))
        answers: dict[str, Callable[[], Any]] = {
            "api/accept": lambda: {
                "version": session.accept(
                    picture, str(values.get("version")), _list(values, "faces")
                )
            },
            "api/pairs": lambda: {
                "pairs": session.pairs(_list(values, "names"), _list(values, "places"))
            },
            "api/markup": lambda: session.write_markup(
                picture, *(_list(values, each) for each in ("names", "places", "pairs"))
            ),
            "api/propose": lambda: session.propose_in(picture, _box(_list(values, "box"))),
        }
        self._answer_with(answers.get(name))

    def _allowed(self, *, writes: bool) -> str | None:
        """The path behind the token; None where the request is refused, and answered."""
        port = self.server.server_address[1]  # type: ignore[index]
        own = {f"{HOST}:{port}", f"localhost:{port}"}
        host, origin = self.headers.get("Host", ""), self.headers.get("Origin")
        trusted = host in own and (origin == f"http://{host}" or (origin is None and not writes))
        try:
            token, _, name = unquote(urlsplit(self.path).path).removeprefix("/").partition("/")
        except ValueError:
            token, name = "", ""
        if not trusted or not hmac.compare_digest(token.encode(), self.own_token.encode()):
            self._sent()  # else the answer may be lost with the rest of the request
            self.close_connection = True
            self._refuse(HTTPStatus.FORBIDDEN, "not for this address")
            return None
        return name

    def _query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def _sent(self) -> bytes:
        """The body of the request; empty where it has none, or one that is too long."""
        length = self.headers.get("Content-Length", "0")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            self.close_connection = True
            return b""
        return self.rfile.read(int(length))

    def _body(self) -> dict[str, Any] | None:
        kind, body = self.headers.get("Content-Type", "").partition(";")[0].strip(), self._sent()
        if kind != "application/json":
            return None
        try:
            values = json.loads(body, parse_constant=lambda text: None)
        except (ValueError, RecursionError):
            return None
        return values if isinstance(values, dict) else None

    def _answer_with(self, answer: Callable[[], Any] | None) -> None:
        if answer is None:
            self._refuse(HTTPStatus.NOT_FOUND, "no such address")
            return
        try:
            found = answer()
        except Conflict:
            self._refuse(HTTPStatus.CONFLICT, "points.csv has other faces of this picture by now")
        except InputError as error:
            self._refuse(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        else:
            if isinstance(found, bytes):
                self._send(HTTPStatus.OK, found, "image/png")
            else:
                self._send(HTTPStatus.OK, json.dumps(found).encode(), "application/json")

    def _refuse(self, status: HTTPStatus, message: str) -> None:
        self._send(status, json.dumps({"error": message}).encode(), "application/json")

    def _send(self, status: HTTPStatus, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _list(values: dict[str, Any], name: str) -> list[Any]:
    if not isinstance(values.get(name), list):
        raise InputError(f"{name}: a list is expected")
    return values[name]


def _box(values: list[Any]) -> np.ndarray:
    plain = all(type(value) in (int, float) and abs(value) <= 1e6 for value in values)
    if len(values) != 4 or not plain or min(values[2:]) <= 0:
        raise InputError("box: left, top, width and height are expected")
    return np.array(values, np.float64)
