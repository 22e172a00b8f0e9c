"""A hub on 127.0.0.1 for tests: repositories in memory, spoken to by the hub's own client.

Faults are settings of the hub: `cuts` ends connections in the middle of a file, `lies` announces
wrong sizes, `status` answers everything with one status.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_FILE = re.compile(r"/(?P<name>.+?)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_TREE = re.compile(r"/api/models/(?P<name>.+?)/tree/(?P<revision>[^/]+)")


@dataclass
class Repository:
    files: dict[str, bytes]
    commit: str = COMMIT
    branches: tuple[str, ...] = ("main",)
    gated: bool = False
    token: str | None = None


@dataclass
class FakeHub:
    """Serve `repositories` inside `with FakeHub() as hub:`; `hub.url` is the endpoint."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    """Send so many bytes of the next files, one number per request, then close the connection."""
    lies: dict[str, int] = field(default_factory=dict)
    """Announce these sizes for files."""
    status: int | None = None
    log: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path and range of each request."""

    def add(self, name: str, files: dict[str, bytes], **settings) -> Repository:
        self.repositories[name] = Repository(files, **settings)
        return self.repositories[name]

    def __enter__(self) -> FakeHub:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.hub = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}).start()
        return self

    def __exit__(self, *_) -> None:
        self._server.shutdown()
        self._server.server_close()


def _commit(repository, found) -> str:
    """The commit that a request means: the one that it names, or the newest."""
    named = re.fullmatch(r"[0-9a-f]{40}", found["revision"])
    return found["revision"] if named else repository.commit


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def log_message(self, *_) -> None:
        pass

    def _answer(self, *, with_body: bool) -> None:
        hub: FakeHub = self.server.hub
        path = unquote(urlsplit(self.path).path)
        hub.log.append((self.command, path, self.headers.get("Range")))
        found = _FILE.fullmatch(path) or _TREE.fullmatch(path)
        repository = hub.repositories.get(found["name"]) if found else None
        refusal = self._refusal(hub, repository, found)
        if refusal:
            self._send(*refusal, with_body=with_body)
        elif "file" in found.groupdict():
            commit = _commit(repository, found)
            self._file(hub, repository.files[found["file"]], found["file"], commit, with_body)
        else:
            tree = [
                {
                    "type": "file",
                    "path": name,
                    "size": len(data),
                    "oid": hashlib.sha1(data).hexdigest(),
                }
                for name, data in repository.files.items()
            ]
            self._send(200, {"Content-Type": "application/json"}, json.dumps(tree).encode())

    def _refusal(self, hub, repository, found):
        if hub.status:
            return hub.status, {}
        if repository is None:
            return 401 if "Authorization" not in self.headers else 404, {
                "X-Error-Code": "RepoNotFound"
            }
        if found["revision"] not in (*repository.branches, repository.commit):
            return 404, {"X-Error-Code": "RevisionNotFound"}
        commit = {"X-Repo-Commit": _commit(repository, found)}
        if repository.gated and self.headers.get("Authorization") != f"Bearer {repository.token}":
            return 403, {"X-Error-Code": "GatedRepo", **commit}
        if "file" in found.groupdict() and found["file"] not in repository.files:
            return 404, {"X-Error-Code": "EntryNotFound", **commit}
        return None

    def _file(self, hub, data, name, commit, with_body) -> None:
        size = hub.lies.get(name, len(data))
        headers = {
            "X-Repo-Commit": commit,
            "ETag": f'"{hashlib.sha256(data).hexdigest()}"',
            "Accept-Ranges": "bytes",
        }
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        if wanted:
            start = int(wanted[1])
            headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
            self._send(206, headers, data[start:], size - start, with_body=with_body)
        else:
            self._send(200, headers, data, size, with_body=with_body)

    def _send(self, status, headers, body=b"", size=None, *, with_body=True) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) if size is None else size))
        self.end_headers()
        if not with_body:
            return
        cuts = self.server.hub.cuts
        cut = cuts.pop(0) if cuts and size is not None else None
        self.wfile.write(body[:cut])
        if cut is not None or (size is not None and size != len(body)):
            self.close_connection = True
