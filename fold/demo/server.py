"""Shows a folder only to browsers on this machine."""

from __future__ import annotations

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from fold.errors import FoldError

HOST = "127.0.0.1"


class Quiet(SimpleHTTPRequestHandler):
    """Files of a folder, asked for anew each time."""

    extensions_map = {
        **SimpleHTTPRequestHandler.extensions_map,
        ".mjs": "text/javascript",
        ".js": "text/javascript",
        ".wasm": "application/wasm",
    }

    def end_headers(self) -> None:
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


def server_of(folder: Path, port: int) -> ThreadingHTTPServer:
    """A server at 127.0.0.1, not yet serving. port: 0 for any that is free. Raises FoldError if it cannot be had."""
    try:
        return ThreadingHTTPServer((HOST, port), functools.partial(Quiet, directory=str(folder)))
    except (OSError, OverflowError) as error:
        raise FoldError(
            f"port {port}: {getattr(error, 'strerror', None) or error}; --port=0 takes a free one"
        ) from None
