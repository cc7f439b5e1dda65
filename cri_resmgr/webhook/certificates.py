"""The server's certificate: loaded, tried, and loaded again when its files change.

A Secret's volume is replaced as a whole by swapping a symbolic link, cert-manager renews long before the end, and
either may be caught half way.  So the *content* of both files is looked at every few seconds, a new pair is used only
after it has been tried, and until then the old one stays.

To try a pair is to shake hands with oneself in memory.  That finds what the API server would complain about, and what
nobody would see: with the failure policy Ignore, a wrong certificate looks like pods without annotation.

New connections get the new pair, open ones keep the old one: the listening context hands each handshake over to the
current context (`sni_callback`, which is also called for clients that name no server).
"""

import asyncio
import contextlib
import hashlib
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from cri_resmgr.errors import BadInput
from cri_resmgr.observe.limiting import Limiter

FOLLOW_S = 5.0
COMPLAIN_S = 300.0

_NO_CHECK_TIME = 0x200000  # X509_V_FLAG_NO_CHECK_TIME, which `ssl` does not name: an old pair is better than none
_FLIGHTS = 4  # more than any handshake takes

log = structlog.get_logger("webhook")


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate with its key, known to work with each other; `names` are those it is for, as `DNS:…` or `IP…`."""

    context: ssl.SSLContext
    names: tuple[str, ...]
    expires_at_s: float
    """Unix time."""
    digest: str
    """Of both files: another digest is another pair."""


class Certificate:
    """The pair in use; `context` is for the listening socket and never changes."""

    def __init__(self, cert_file: Path, key_file: Path) -> None:
        """Load the pair.  Raises BadInput."""
        self._cert_file, self._key_file = cert_file, key_file
        self._limiter = Limiter(COMPLAIN_S)
        self.problem = ""
        """Why a newer pair is not used; "" while the files hold the current one."""
        self.pair = load(cert_file, key_file)
        self.context = self.pair.context
        self.context.sni_callback = self._choose
        self._tell("certificate.loaded")

    def expired(self) -> bool:
        """The pair's time is over: clients refuse it."""
        return time.time() >= self.pair.expires_at_s

    def refresh(self) -> None:
        """Use what the files hold now, if it is another pair and works."""
        try:
            if digest(self._cert_file, self._key_file) != self.pair.digest:
                self.pair = load(self._cert_file, self._key_file)
                self._tell("certificate.renewed")
            self.problem = ""
        except BadInput as error:
            self.problem = str(error)
            if (missed := self._limiter.turn(self.problem)) is not None:
                log.error("certificate.rejected", error=self.problem, missed=missed)

    async def follow(self, interval_s: float = FOLLOW_S) -> None:
        """Refresh for ever."""
        while True:
            await asyncio.sleep(interval_s)
            self.refresh()
            if self.expired() and (missed := self._limiter.turn("expired")) is not None:
                log.error("certificate.expired", file=str(self._cert_file), missed=missed)

    def _choose(self, handshake: ssl.SSLObject, *_: object) -> None:
        handshake.context = self.pair.context

    def _tell(self, event: str) -> None:
        expires = datetime.fromtimestamp(self.pair.expires_at_s, UTC).isoformat()
        log.info(event, names=",".join(self.pair.names), expires=expires)


def load(cert_file: Path, key_file: Path) -> Pair:
    """Load a pair and try it.  Raises BadInput that says what the API server would not accept."""
    taken = digest(cert_file, key_file)  # before the files are loaded: if they change meanwhile, that shows
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert_file, key_file, password=_no_password)
        seen = _seen_by_a_client(context, cert_file)
    except (OSError, ValueError) as error:  # every error of TLS is an OSError
        raise BadInput(
            f"{cert_file} with {key_file}: {_reason(error)}; give a server's certificate and its key, both as PEM"
        ) from error
    names = tuple(":".join(map(str, name)) for name in seen.get("subjectAltName", ()))
    if not names:
        raise BadInput(f"{cert_file} has no subjectAltName; the API server takes no certificate without the name in it")
    return Pair(context, names, ssl.cert_time_to_seconds(seen["notAfter"]), taken)


def digest(cert_file: Path, key_file: Path) -> str:
    """Tells one content of the two files from another.  Raises BadInput for a file that cannot be read."""
    made = hashlib.sha256()
    for flag, file in (("cert-file", cert_file), ("key-file", key_file)):
        try:
            made.update(hashlib.sha256(file.read_bytes()).digest())
        except OSError as error:
            raise BadInput(f"flag -{flag}: {file}: {error.strerror}; name a file that can be read") from error
    return made.hexdigest()


def _seen_by_a_client(server: ssl.SSLContext, cert_file: Path) -> Mapping[str, Any]:
    """What a client that trusts this certificate learns from it.  Raises SSLError when one of the two objects."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False  # which name the Service has is not known here
    client.load_verify_locations(cert_file)
    client.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = (client.wrap_bio(down, up), server.wrap_bio(up, down, server_side=True))
    for end in ends * _FLIGHTS:
        with contextlib.suppress(ssl.SSLWantReadError):
            end.do_handshake()
    return ends[0].getpeercert() or {}


def _no_password() -> str:
    raise ValueError("the key is encrypted")  # without this, the terminal would be asked


def _reason(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError):  # OpenSSL's own words, such as KEY_VALUES_MISMATCH
        return error.reason.replace("_", " ").lower() if error.reason else "one of them is no PEM"
    return str(error)
