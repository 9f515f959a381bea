"""A small HTTP server that misbehaves by script: what remote reading has to survive."""

import random
import socket
import struct
import threading
from collections.abc import Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

GOOD = "good"
RESET = "reset before the body"
BROKEN = "reset within the body"
STALL = "stall"
ERROR = "500"
BUSY = "503"
MISSING = "404"
FORBIDDEN = "403"
SHORT = "short read"
CUT = "short read without a Content-Length"
NO_LENGTH = "no Content-Length"
NO_RANGE = "no Range"
FLIPPED = "flipped byte"
ENDLESS = "endless"

# Of a stall and of an endless answer, so that a client that bears them fails its test instead of hanging.
LONG_SECONDS = 10
MUCH = 1 << 25

STATUSES = (ERROR, BUSY, MISSING, FORBIDDEN)
PASSING = (RESET, BROKEN, STALL, ERROR, BUSY, SHORT, CUT, NO_LENGTH, NO_RANGE, FLIPPED, ENDLESS)
"""What a client that tries again gets over."""


class Request(NamedTuple):
    """A request as it was served. range: its header; sent: bytes of the body."""

    path: str
    range: str | None
    fault: str
    sent: int


def random_faults(seed: int, share: float) -> Iterator[str]:
    """Yields for ever: faults for a share of the requests."""
    rng = random.Random(seed)
    while True:
        yield rng.choice(PASSING) if rng.random() < share else GOOD


class HostileServer(ThreadingHTTPServer):
    """Serves the files of a folder on 127.0.0.1, with Range support, between `with` and its end.

    script: a fault for one request after another, good ones after its end; always: faults of single paths, for ever
    and outside the script. A fault that cuts a body sends half of it.
    """

    daemon_threads = True

    def __init__(self, folder: Path, script: Iterable[str] = (), always: Mapping[str, str] | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.folder = folder
        self.script = iter(script)
        self.always = always or {}
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self.lock = threading.Lock()

    def __enter__(self) -> "HostileServer":
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def next_fault(self, path: str) -> str:
        with self.lock:
            return self.always[path] if path in self.always else next(self.script, GOOD)

    def asked(self, path: str) -> list[Request]:
        """The requests for one path."""
        return [request for request in self.requests if request.path == path]


class _Handler(BaseHTTPRequestHandler):
    server: HostileServer

    def do_GET(self) -> None:
        fault = self.server.next_fault(self.path)
        body = b"" if fault in (RESET, *STATUSES) else self._body(fault)
        # Recorded before anything is sent, so that a client that has its answer finds it here.
        self.server.requests.append(Request(self.path, self.headers["Range"], fault, len(body)))
        try:
            self.wfile.write(body)
            if fault == ENDLESS:
                self.wfile.write(bytes(MUCH))
        except OSError:
            return  # the client has had enough
        if fault in STATUSES:
            self.send_error(int(fault))
        if fault in (RESET, BROKEN):
            self._reset()
        if fault == STALL:
            self.server.closing.wait(LONG_SECONDS)

    def _body(self, fault: str) -> bytes:
        """Sends the head of an answer and returns the body that is to follow."""
        file = self.server.folder / self.path.lstrip("/")
        if not file.is_file():
            self.send_error(404)
            return b""
        content = file.read_bytes()
        wanted = None if fault == NO_RANGE else self.headers["Range"]
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start and start >= len(content):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(content)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return b""
        body = bytearray(content[start:])
        self.send_response(206 if wanted else 200)
        if fault not in (NO_LENGTH, CUT, ENDLESS):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault == FLIPPED and body:
            body[len(body) // 2] ^= 1
        return bytes(body[: (len(body) + 1) // 2] if fault in (BROKEN, SHORT, CUT, STALL) else body)

    def _reset(self) -> None:
        """Has the connection end with RST instead of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def log_message(self, *args: object) -> None:
        pass
