"""A hub on the loopback interface: repositories as huggingface_hub and transformers ask for them.

What a repository does wrong is its `faults`: functions of a request that answer in its place.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

COMMIT = "a" * 40
MAIN = "main"
BIG = 10_000
"""Bytes from which a file is kept in LFS, with the SHA-256 of its content as its ETag."""


@dataclass(frozen=True)
class Request:
    """What a client asked for."""

    method: str
    path: str
    query: dict[str, list[str]]
    token: str | None
    span: tuple[int, int | None] | None
    """First and last byte of a Range; None where there is no such header."""

    @property
    def is_api(self) -> bool:
        """Whether it is about a repository, not for one of its files."""
        return self.path.startswith("/api/")


@dataclass(frozen=True)
class Reply:
    """What the hub answers. `announced` is a Content-Length that is not the body's."""

    status: int = HTTPStatus.OK
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    announced: int | None = None


Fault = Callable[["Repository", Request], Reply | None]
"""Answers in the repository's place; None leaves it to answer."""


def json_reply(value: Any) -> Reply:
    return Reply(body=json.dumps(value).encode(), headers={"Content-Type": "application/json"})


def error(status: int, code: str = "", message: str = "", **headers: str) -> Reply:
    """An error as the hub words it: code and message are headers."""
    named = {"X-Error-Code": code, "X-Error-Message": message, **headers}
    body = json.dumps({"error": message}).encode()
    return Reply(status, body, {name: value for name, value in named.items() if value})


@dataclass
class Repository:
    """Files by commit, branches, and what goes wrong."""

    commits: dict[str, dict[str, bytes]]
    refs: dict[str, str] = field(default_factory=lambda: {MAIN: COMMIT})
    faults: Sequence[Fault] = ()
    gated: str | bool = False
    license: str = "mit"
    sizes: dict[str, int] = field(default_factory=dict)
    """Sizes that listings announce in the place of the true ones."""

    @classmethod
    def of(cls, files: dict[str, bytes], *faults: Fault, **more: Any) -> Repository:
        """One commit on one branch."""
        return cls({COMMIT: files}, faults=faults, **more)

    def commit(self, revision: str) -> str | None:
        """The commit of a branch or of itself."""
        found = self.refs.get(revision, revision)
        return found if found in self.commits else None


def etag(content: bytes) -> str:
    """The name of a blob: as git has it, or of its content where it is in LFS."""
    if len(content) >= BIG:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


class LoopbackHub:
    """Repositories by `organisation/name`, served until `close`."""

    def __init__(self) -> None:
        self.repositories: dict[str, Repository] = {}
        self.requests: list[Request] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def endpoint(self) -> str:
        """For HF_ENDPOINT."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()

    @contextmanager
    def counted(self) -> Iterator[list[Request]]:
        """The requests that are made inside."""
        counted: list[Request] = []
        before = len(self.requests)
        yield counted
        counted += self.requests[before:]

    def answer(self, request: Request) -> Reply:
        """What a request comes to."""
        self.requests.append(request)
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        if parts == [""]:
            return Reply()
        name, rest = (
            ("/".join(parts[2:4]), parts[4:])
            if request.is_api
            else (
                "/".join(parts[:2]),
                parts[2:],
            )
        )
        repository = self.repositories.get(name)
        if repository is None:
            return error(404, "RepoNotFound", "Repository not found")
        for fault in repository.faults:
            reply = fault(repository, request)
            if reply is not None:
                return reply
        return (
            self._api(name, repository, rest)
            if request.is_api
            else _file(repository, rest, request)
        )

    def _api(self, name: str, repository: Repository, rest: list[str]) -> Reply:
        what, revision = (*rest, "", "")[:2]
        if what == "refs":
            branches = [
                {"name": ref, "ref": f"refs/heads/{ref}", "targetCommit": commit}
                for ref, commit in repository.refs.items()
            ]
            return json_reply({"branches": branches, "tags": [], "converts": []})
        commit = repository.commit(revision or MAIN)
        if commit is None:
            return error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        listed = [
            _listed(repository, path, content)
            for path, content in repository.commits[commit].items()
        ]
        if what in ("tree", "paths-info"):
            return json_reply(listed)
        siblings = [
            {**entry, "rfilename": entry["path"], "blobId": entry["oid"]} for entry in listed
        ]
        return json_reply(
            {
                "id": name,
                "sha": commit,
                "siblings": siblings,
                "gated": repository.gated,
                "private": False,
                "disabled": False,
                "tags": [f"license:{repository.license}"],
                "safetensors": {"parameters": {"F32": 123}, "total": 123},
            }
        )


def _listed(repository: Repository, path: str, content: bytes) -> dict[str, Any]:
    size = repository.sizes.get(path, len(content))
    entry = {"type": "file", "path": path, "size": size, "oid": "b" * 40}
    if len(content) >= BIG:
        entry["lfs"] = {
            "oid": etag(content),
            "sha256": etag(content),
            "size": size,
            "pointerSize": 130,
        }
    return entry


def _file(repository: Repository, rest: list[str], request: Request) -> Reply:
    """`/organisation/name/resolve/revision/path`."""
    if len(rest) < 3 or rest[0] != "resolve":
        return error(404, "", "no such page")
    commit = repository.commit(rest[1])
    if commit is None:
        return error(404, "RevisionNotFound", f"Invalid rev id: {rest[1]}")
    content = repository.commits[commit].get("/".join(rest[2:]))
    if content is None:
        missing = error(404, "EntryNotFound", "Entry not found")
        return Reply(missing.status, missing.body, {**missing.headers, "X-Repo-Commit": commit})
    headers = {"ETag": f'"{etag(content)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
    if request.span is None:
        return Reply(body=content, headers=headers)
    first, last = request.span
    body = content[first : None if last is None else last + 1]
    headers["Content-Range"] = f"bytes {first}-{first + len(body) - 1}/{len(content)}"
    return Reply(HTTPStatus.PARTIAL_CONTENT, body, headers)


def _span(header: str) -> tuple[int, int | None] | None:
    """Read `bytes=first-last`."""
    unit, _, asked = header.partition("=")
    if unit != "bytes":
        return None
    first, _, last = asked.partition("-")
    return int(first), int(last) if last else None


def _handler(hub: LoopbackHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._go()

        def do_HEAD(self) -> None:
            self._go()

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self._go()

        def _go(self) -> None:
            address = urlsplit(self.path)
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            reply = hub.answer(
                Request(
                    self.command,
                    address.path,
                    parse_qs(address.query),
                    token or None,
                    _span(self.headers.get("Range", "")),
                )
            )
            length = len(reply.body) if reply.announced is None else reply.announced
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Content-Length": str(length)}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(reply.body)
            if length != len(reply.body):
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """The hub keeps its requests itself."""

    return Handler
