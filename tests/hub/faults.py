"""What goes wrong with repositories of a hub."""

from __future__ import annotations

import hashlib
import json
import threading
import time

from tests.hub.server import BIG, MAIN, Fault, Reply, Repository, Request, error, etag

GATED = "Access to this model is restricted and you are not in the authorized list."


def always(reply: Reply) -> Fault:
    """Whatever is asked for."""
    return lambda repository, request: reply


def gated(token: str) -> Fault:
    """Anybody sees what is there; files are for who has the token."""

    def judge(repository: Repository, request: Request) -> Reply | None:
        if request.is_api or request.token == token:
            return None
        return error(401 if request.token is None else 403, "GatedRepo", GATED)

    return judge


def bad_credentials(repository: Repository, request: Request) -> Reply | None:
    """A token that the hub has never given out."""
    if request.token is None:
        return None
    return error(401, "", "Invalid credentials in Authorization header")


def files_only(fault: Fault) -> Fault:
    """The listing works, the files do not."""
    return lambda repository, request: None if request.is_api else fault(repository, request)


missing = always(error(404, "RepoNotFound", "Repository not found"))
hidden = always(error(401, "RepoNotFound", "Repository not found"))
disabled = always(error(403, "", "Access to this resource is disabled."))
crowded = always(error(429, "", "Too many requests", **{"Retry-After": "120"}))
broken = always(error(500, "", "Internal error"))
down = always(error(503))
no_commit_header = files_only(always(Reply(headers={"ETag": '"x"'})))


def cut_off(sent: int, times: float = float("inf")) -> Fault:
    """Weights break off after so many bytes, so many times."""
    lock, left = threading.Lock(), [times]

    def cut(repository: Repository, request: Request) -> Reply | None:
        content = repository.commits[repository.refs[MAIN]].get(
            request.path.rpartition("/")[2], b""
        )
        if request.method != "GET" or not request.path.endswith(".safetensors"):
            return None
        with lock:
            if left[0] <= 0:
                return None
            left[0] -= 1
        first = request.span[0] if request.span else 0
        headers = {"ETag": f'"{etag(content)}"', "X-Repo-Commit": repository.refs[MAIN]}
        if request.span:
            headers["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
        body = content[first : first + sent]
        return Reply(206 if request.span else 200, body, headers, len(content) - first)

    return cut


def crowded_files(wait: int, times: float = float("inf")) -> Fault:
    """The listing works; who reads a file is asked to wait so many seconds, so many times."""
    lock, left = threading.Lock(), [times]

    def refuse(repository: Repository, request: Request) -> Reply | None:
        if request.is_api or request.method != "GET":
            return None
        with lock:
            if left[0] <= 0:
                return None
            left[0] -= 1
        return error(429, "", "Too many requests", **{"Retry-After": str(wait)})

    return refuse


def slow(seconds: float) -> Fault:
    """Questions about the repository take their time."""

    def wait(repository: Repository, request: Request) -> Reply | None:
        if request.is_api:
            time.sleep(seconds)
        return None

    return wait


def shortened(repository: Repository, request: Request) -> Reply | None:
    """Weights that end early and say so: not what was announced, and nothing broke off."""
    if request.method != "GET" or not request.path.endswith(".safetensors"):
        return None
    content = repository.commits[repository.refs[MAIN]]["model.safetensors"]
    headers = {"ETag": f'"{etag(content)}"', "X-Repo-Commit": repository.refs[MAIN]}
    return Reply(200, content[:-100], headers)


teapot = error(418, "", "I'm a teapot")


def is_large(repository: Repository, request: Request) -> bytes | None:
    """The content of a file that the hub keeps elsewhere than in its git."""
    name = request.path.rpartition("/")[2]
    content = repository.commits[repository.refs[MAIN]].get(name, b"")
    return content if not request.is_api and len(content) >= BIG else None


def redirected_to(elsewhere: str) -> Fault:
    """Large files are with another host, as those of the real hub are with a CDN."""

    def redirect(repository: Repository, request: Request) -> Reply | None:
        content = is_large(repository, request)
        if content is None:
            return None
        headers = {
            "Location": f"{elsewhere}/{request.path.rpartition('/')[2]}?Signature=signed",
            "X-Linked-ETag": f'"{etag(content)}"',
            "X-Linked-Size": str(len(content)),
            "X-Repo-Commit": repository.refs[MAIN],
        }
        return Reply(302, headers=headers)

    return redirect


def in_xet(endpoint: str, storage: str) -> Fault:
    """Large files are announced to be in Xet storage at another address."""

    def announce(repository: Repository, request: Request) -> Reply | None:
        if "/xet-read-token/" in request.path:
            token = {"casUrl": storage, "accessToken": "short-lived", "exp": 4_102_444_800}
            headers = {
                "X-Xet-Cas-Url": storage,
                "X-Xet-Access-Token": "short-lived",
                "X-Xet-Token-Expiration": "4102444800",
            }
            return Reply(body=json.dumps(token).encode(), headers=headers)
        content = is_large(repository, request)
        if content is None or request.method != "HEAD":
            return None
        headers = {
            "ETag": f'"{etag(content)}"',
            "X-Repo-Commit": repository.refs[MAIN],
            "X-Linked-Size": str(len(content)),
            "X-Xet-Hash": hashlib.sha256(content).hexdigest(),
            "X-Xet-Refresh-Route": f"{endpoint}/api/models/org/name/xet-read-token/main",
        }
        return Reply(headers=headers, announced=len(content))

    return announce
