"""A read-only image registry in a thread: the part of the distribution API that a pull uses.

It serves what `images.build` made under its full names: a mirror of `registry.k8s.io` and of every other host at once,
because clients ask a mirror for the name without the host.  Plain HTTP on 127.0.0.1, on a port that was free.
"""

import contextlib
import re
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType

from equipment.images import MANIFEST, Layout

_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<kind>manifests|blobs)/(?P<reference>[^/?]+)(?:\?.*)?")


class Registry:
    """Serves `layout` from construction until `stop`; also a context manager."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(layout))
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="registry", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """`127.0.0.1:PORT`."""
        return f"127.0.0.1:{self._server.server_port}"

    def stop(self) -> None:
        """Free the port; nothing happens the second time."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def __enter__(self) -> "Registry":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _handler(layout: Layout) -> type[BaseHTTPRequestHandler]:
    """A handler class, as the library wants it, that knows `layout`."""
    tags = {_without_host(name): manifest.digest for name, manifest in layout.manifests.items()}
    manifests = set(tags.values())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # a pull asks for many blobs over one connection

        def handle(self) -> None:
            with contextlib.suppress(ConnectionError):  # CRI-O hangs up in the middle when it has what it wants
                super().handle()

        def do_GET(self) -> None:
            self._answer(with_body=True)

        def do_HEAD(self) -> None:
            self._answer(with_body=False)

        def _answer(self, *, with_body: bool) -> None:
            if self.path.rstrip("/") == "/v2":
                self._send(HTTPStatus.OK, b"{}", "application/json", with_body=with_body)
                return
            digest = self._digest()
            if digest not in layout.blobs:
                errors = b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"not one of the test images"}]}'
                self._send(HTTPStatus.NOT_FOUND, errors, "application/json", with_body=with_body)
                return
            media_type = MANIFEST if digest in manifests else "application/octet-stream"
            self._send(HTTPStatus.OK, layout.blobs[digest], media_type, with_body=with_body, digest=digest)

        def _digest(self) -> str:
            """What is asked for, by tag or by digest; empty when it is neither."""
            if not (found := _PATH.fullmatch(self.path)):
                return ""
            reference = found["reference"]
            return reference if ":" in reference else tags.get(f"{found['name']}:{reference}", "")

        def _send(self, status: HTTPStatus, body: bytes, kind: str, *, with_body: bool, digest: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            if digest:
                self.send_header("Docker-Content-Digest", digest)
            self.end_headers()
            if with_body:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the clients' own logs tell what they pulled."""

    return Handler


def _without_host(name: str) -> str:
    return name.partition("/")[2]
