"""Certificates with their keys, made by openssl."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMED = "subjectAltName=DNS:localhost,IP:127.0.0.1"


@dataclass(frozen=True)
class Files:
    """Where a certificate and its key are."""

    cert: Path
    key: Path

    def become(self, other: "Files") -> None:
        """Hold what the other files hold; each file is replaced as a whole."""
        for own, new in ((self.cert, other.cert), (self.key, other.key)):
            replace(own, new.read_bytes())


def replace(file: Path, content: bytes) -> None:
    """Put new content into place by renaming."""
    aside = file.with_suffix(".new")
    aside.write_bytes(content)
    aside.rename(file)


def make(directory: Path, name: str = "svc", *, extensions: tuple[str, ...] = (NAMED,), days: int = 1) -> Files:
    """A self-signed certificate; with `days` of -1 one that has expired."""
    files = Files(directory / f"{name}.crt", directory / f"{name}.key")
    request, settings = directory / f"{name}.csr", directory / f"{name}.ext"
    settings.write_text("".join(f"{extension}\n" for extension in extensions))
    _openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", files.key)
    _openssl("req", "-new", "-key", files.key, "-subj", f"/CN={name}", "-out", request)
    _openssl(
        *("x509", "-req", "-in", request, "-signkey", files.key, "-out", files.cert),
        *("-days", str(days), "-extfile", settings),
    )
    return files


def encrypted(files: Files) -> Files:
    """The same with a key that needs a password."""
    key = files.key.with_suffix(".aes")
    _openssl("ec", "-in", files.key, "-out", key, "-aes256", "-passout", "pass:word")
    return Files(files.cert, key)


def _openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
