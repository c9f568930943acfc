"""A package index on loopback that can stop in the middle of a wheel."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class PackageIndex:
    """Serves one wheel. While `gate` is closed, it sends half and waits; `half_sent` says so."""

    def __init__(self, wheel: Path) -> None:
        self.wheel = wheel
        self.gate = threading.Event()
        self.half_sent = threading.Event()
        self.wheels_asked = 0
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.server.daemon_threads = True

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/simple"

    def _handler(index) -> type[BaseHTTPRequestHandler]:  # noqa: N805
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.endswith(".whl"):
                    index.wheels_asked += 1
                    self._send(index.wheel.read_bytes(), "application/zip", gated=True)
                else:
                    link = f'<a href="/files/{index.wheel.name}">{index.wheel.name}</a>'
                    self._send(f"<!DOCTYPE html>{link}".encode(), "text/html", gated=False)

            def _send(self, body: bytes, kind: str, *, gated: bool) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                half = len(body) // 2
                try:
                    self.wfile.write(body[:half])
                    if gated:
                        index.half_sent.set()
                        index.gate.wait()
                    self.wfile.write(body[half:])
                except ConnectionError:
                    pass  # the reader was killed, which is what some tests are about

            def log_message(self, *args: object) -> None:
                pass

        return Handler


@contextmanager
def serving(wheel: Path) -> Iterator[PackageIndex]:
    index = PackageIndex(wheel)
    thread = threading.Thread(target=index.server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield index
    finally:
        index.gate.set()
        index.server.shutdown()
        thread.join()
        index.server.server_close()
