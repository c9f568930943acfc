"""A stand-in for the Hugging Face hub, with its CDN on another port. It can misbehave on demand.

    with FakeHub({"org/tiny-GGUF": {"tiny-Q4_0.gguf": content}}) as hub:
        hub.faults = [Drop(after=1000)]
        ...
        assert hub.cdn[0].range == "bytes=1000-"

It serves from a thread of its own, so that a test may kill, or block in, whatever asks it. `faults`
are taken one for each request to the CDN; where there is none left, all goes well.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "c0ffee" + "0" * 34


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer of the CDN. Numbers of bytes count those that are sent."""

    status: int = 0  # answered in place of the file
    headers: Mapping[str, str] = field(default_factory=dict)
    drop_after: int | None = None  # the connection breaks
    short_after: int | None = None  # the body ends there, and says so in its length
    stall_after: int | None = None  # nothing comes any more until the gate opens
    wrong_bytes: bool = False
    extra: bytes = b""  # sent after the file
    ignores_range: bool = False
    etag: str = ""  # another version
    redirect: str = ""  # to somewhere else


@dataclass(frozen=True)
class Asked:
    """One request, as it came."""

    method: str
    path: str
    headers: Mapping[str, str]

    @property
    def range(self) -> str:
        return self.headers.get("range", "")

    @property
    def token(self) -> str:
        return self.headers.get("authorization", "")


class FakeHub:
    """Repositories by name, each with its files by path."""

    def __init__(self, repos: Mapping[str, Mapping[str, bytes]]) -> None:
        self.repos = {name: dict(files) for name, files in repos.items()}
        self.token = ""  # what a client must show; empty: anyone may come
        self.gated: set[str] = set()
        self.api_statuses: list[int] = []  # one for each request to the API, before it is well
        self.api_body: bytes | None = None
        self.api_redirect = ""
        self.renamed: dict[str, str] = {}  # repositories by their old names
        self.changed_names: dict[str, str] = {}  # what the listing calls a file
        self.changed_sha256 = ""
        self.faults: list[Fault] = []
        self.bytes_per_s = 0  # 0: as fast as it goes
        self.asked: list[Asked] = []
        self.cdn: list[Asked] = []
        self.sent_bytes = 0
        self.gate = threading.Event()
        self.stalled = threading.Event()
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, self._answer)),
            ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, self._answer_file)),
        ]
        self._threads = [
            threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self._servers
        ]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def cdn_url(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def __enter__(self) -> FakeHub:
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.daemon_threads = True
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.gate.set()
        for server, thread in zip(self._servers, self._threads, strict=True):
            server.shutdown()
            thread.join()
            server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        self.asked.append(asked)
        path = unquote(urlsplit(asked.path).path)
        if self.api_statuses and path.startswith("/api/"):
            _send_json(handler, self.api_statuses.pop(0), {"error": "try later"})
        elif self.api_redirect and path.startswith("/api/"):
            _send(handler, 302, b"", {"Location": self.api_redirect})
        elif self.token and asked.token != f"Bearer {self.token}":
            _send_json(handler, 401, {"error": "Invalid username or password."})
        elif path.startswith("/api/models/"):
            self._list(handler, path.removeprefix("/api/models/"))
        else:
            self._resolve(handler, path.strip("/"))

    def _list(self, handler: BaseHTTPRequestHandler, rest: str) -> None:
        repo, _, revision = rest.partition("/revision/")
        if repo in self.renamed:
            _send(handler, 307, b"", {"Location": f"/api/models/{self.renamed[repo]}"})
            return
        if repo not in self.repos:
            _send_json(handler, 404, {"error": "Not found"}, {"X-Error-Code": "RepoNotFound"})
        elif repo in self.gated:
            _send_json(handler, 403, {"error": "gated"}, {"X-Error-Code": "GatedRepo"})
        elif revision not in ("", "main", "v1", COMMIT):
            headers = {"X-Error-Code": "RevisionNotFound"}
            _send_json(handler, 404, {"error": "Invalid rev id"}, headers)
        elif self.api_body is not None:
            _send(handler, 200, self.api_body, {"Content-Type": "application/json"})
        else:
            siblings = [self._sibling(*file) for file in self.repos[repo].items()]
            _send_json(handler, 200, {"id": repo, "sha": COMMIT, "siblings": siblings})

    def _sibling(self, path: str, content: bytes) -> dict[str, Any]:
        sha256 = self.changed_sha256 or hashlib.sha256(content).hexdigest()
        return {
            "rfilename": self.changed_names.get(path, path),
            "size": len(content),
            "blobId": hashlib.sha1(content).hexdigest(),
            "lfs": {"sha256": sha256, "size": len(content), "pointerSize": 134},
        }

    def _resolve(self, handler: BaseHTTPRequestHandler, path: str) -> None:
        place, _, rest = path.partition("/resolve/")
        revision, _, file = rest.partition("/")
        content = self.repos.get(place, {}).get(file)
        if content is None or revision not in ("main", COMMIT):
            _send(handler, 404, b"Entry not found", {"X-Error-Code": "EntryNotFound"})
            return
        sha256 = hashlib.sha256(content).hexdigest()
        headers = {
            "X-Repo-Commit": COMMIT,
            "X-Linked-Size": str(len(content)),
            "X-Linked-ETag": f'"{sha256}"',
            "Location": f"{self.cdn_url}/{place}/{file}?X-Amz-Signature=secret",
        }
        _send(handler, 302, b"", headers)

    def _answer_file(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        self.cdn.append(asked)
        fault = self.faults.pop(0) if self.faults else Fault()
        if fault.redirect:
            _send(handler, 302, b"", {"Location": fault.redirect})
            return
        if fault.status:
            _send(handler, fault.status, b"no", fault.headers)
            return
        repo, _, file = unquote(urlsplit(asked.path).path).strip("/").rpartition("/")
        while repo not in self.repos:
            repo, _, folder = repo.rpartition("/")
            file = f"{folder}/{file}"
        content = self.repos[repo][file]
        if fault.wrong_bytes:
            content = bytes(len(content))
        self._send_file(handler, asked, content + fault.extra, fault)

    def _send_file(
        self, handler: BaseHTTPRequestHandler, asked: Asked, content: bytes, fault: Fault
    ) -> None:
        etag = fault.etag or f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        start = int(asked.range[6:].rstrip("-")) if asked.range else 0
        is_whole = fault.ignores_range or asked.headers.get("if-range", etag) != etag
        headers = {"ETag": etag, "Accept-Ranges": "bytes"}
        if start and not is_whole:
            if start >= len(content):
                _send(handler, 416, b"", {"Content-Range": f"bytes */{len(content)}"})
                return
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            handler.send_response(206)
        else:
            start = 0
            handler.send_response(200)
        body = content[start:]
        if fault.short_after is not None:
            body = body[: fault.short_after]
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        self._send_body(handler, body, fault)

    def _send_body(self, handler: BaseHTTPRequestHandler, body: bytes, fault: Fault) -> None:
        size = max(1, self.bytes_per_s // 20) if self.bytes_per_s else 1 << 16
        ends = [end for end in (fault.drop_after, fault.stall_after) if end is not None]
        for at in range(0, min([len(body), *ends]), size):
            piece = body[at : min([at + size, len(body), *ends])]
            self.sent_bytes += len(piece)  # before who reads it can look
            handler.wfile.write(piece)
            handler.wfile.flush()
            if self.bytes_per_s:
                time.sleep(0.05)  # the pace of a slow network, not a wait for something
        if fault.stall_after is not None:
            self.stalled.set()
            self.gate.wait()
        handler.close_connection = True


def _handler(hub: FakeHub, answer: Any) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            try:
                answer(self, Asked(self.command, self.path, headers))
            except ConnectionError:
                self.close_connection = True  # the reader went away, as some tests make it

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *args: object) -> None:
            pass

    return Handler


def _send(
    handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: Mapping[str, str]
) -> None:
    handler.send_response(status)
    for name, value in {**headers, "Content-Length": str(len(body))}.items():
        handler.send_header(name, value)
    handler.end_headers()
    if handler.command != "HEAD":
        handler.wfile.write(body)


def _send_json(
    handler: BaseHTTPRequestHandler,
    status: int,
    content: object,
    headers: Mapping[str, str] | None = None,
) -> None:
    body = json.dumps(content).encode()
    _send(handler, status, body, {"Content-Type": "application/json", **(headers or {})})
