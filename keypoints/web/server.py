"""A server of the built page: its files and nothing else, with the headers that it needs."""

import gzip
import http.server
import mimetypes
import socket
import sys
from http import HTTPStatus
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from keypoints.errors import InputError

PAGE = Path(__file__).parent / "page"  # where the build writes
TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".html": "text/html; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
IDLE = 30.0  # seconds after which a connection that sends or takes nothing is closed
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'; "
        "connect-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    # Both isolate the page from others, for which browsers allow it threads.
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


def page_files(page: Path = PAGE) -> dict[str, Path | bytes]:
    """The files of a built page by their place; raises InputError where it is not built."""
    if not (page / "index.html").is_file():
        raise InputError(f"{page}: the page is not built; `make web` builds it (needs Node.js 20)")
    return {path.relative_to(page).as_posix(): path for path in page.rglob("*") if path.is_file()}


def open_server(
    host: str, port: int, *, page: Path = PAGE, model: str = "pretrained-small"
) -> http.server.ThreadingHTTPServer:
    """A server of the folder `page` that listens on `host` and `port` (0: a free one).

    `model` finds the points, as in `models.models`. Raises InputError where the page is not built
    or a model is missing, damaged or no model of the page, and where the address cannot be used.
    """
    files = page_files(page)  # first, since it costs nothing
    from keypoints.web.models import models

    networks = models(model)
    files |= networks
    # 15 % less to transfer, for 0.2 s.
    files |= {f"{name}.gz": gzip.compress(data, 1) for name, data in networks.items()}

    class Handler(PageHandler):
        content = files

    return listen(host, port, Handler)


class _Server(http.server.ThreadingHTTPServer):
    def __init__(self, host: str, port: int, handler: type[http.server.BaseHTTPRequestHandler]):
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """A browser that goes away in the middle of an answer is no error."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def listen(
    host: str, port: int, handler: type[http.server.BaseHTTPRequestHandler]
) -> http.server.ThreadingHTTPServer:
    """A server with a thread for each connection; raises InputError where it cannot listen."""
    try:
        return _Server(host, port, handler)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"--host={host} --port={port}: cannot listen: {reason}") from None


class PageHandler(http.server.BaseHTTPRequestHandler):
    """Answers with the files of the page."""

    content: dict[str, Path | bytes]  # by the path in the address
    timeout = IDLE
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "keypoints", ""

    def do_GET(self) -> None:
        try:
            name = unquote(urlsplit(self.path).path).removeprefix("/") or "index.html"
        except ValueError:  # such as an address of IPv6 that is none
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        self.answer_file(name)

    do_HEAD = do_GET

    def answer_file(self, name: str) -> None:
        """Answer with a file of the page, without its content where only the head is asked for."""
        accepted = "gzip" in self.headers.get("Accept-Encoding", "")
        packed = self.content.get(f"{name}.gz") if accepted else None
        try:
            content = packed or self.content[name]
            body = content if isinstance(content, bytes) else content.read_bytes()
        except (KeyError, OSError):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        self.send_response(HTTPStatus.OK)
        guess = mimetypes.guess_type(name)[0] or "application/octet-stream"
        self.send_header("Content-Type", TYPES.get(PurePosixPath(name).suffix, guess))
        self.send_header("Content-Length", str(len(body)))
        if f"{name}.gz" in self.content:  # a cache must not give one to who takes the other
            self.send_header("Vary", "Accept-Encoding")
        if packed is not None:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def end_headers(self) -> None:
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """One line with the address is all that the command prints."""
