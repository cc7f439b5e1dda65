"""The bundle: a tree with a VERSION and a MANIFEST, which has the SHA-256 of each file as `sha256sum` writes it."""

import hashlib
import re
from pathlib import Path

from installer.errors import BadInput

PROGRAM = "bin/cri-resmgr"
INTERPRETER = "bin/python3"
SHELL = Path("/bin/sh")
IN_IMAGE = Path("/bin/cri-resmgr")
_ANY = ""
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


def version(tree: Path) -> str:
    """What the tree says it is; BadInput when it is no bundle."""
    try:
        text = (tree / "VERSION").read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--bundle {tree}: no bundle, its VERSION cannot be read: {error}; name the tree") from error
    if not _VERSION.fullmatch(text) or text == "current":
        raise BadInput(f"--bundle {tree}: VERSION is {text!r}; a version is a word that can name a directory")
    return text


def program(tree: Path) -> Path:
    """The daemon's program of this bundle, for use where we run: a bundle's own wants a shell, which our image has not.

    There is another way in there, which needs none.
    """
    return tree / PROGRAM if SHELL.exists() else IN_IMAGE


def check(tree: Path) -> int:
    """Compare every file with the MANIFEST; its size in bytes.  BadInput names what is wrong."""
    sums = _manifest(tree)
    found = {path.relative_to(tree).as_posix(): path for path in tree.rglob("*") if path.is_file()}
    wrong = [f"{name} is missing" for name in sorted(sums.keys() - found.keys())]
    wrong += [f"{name} is not in it" for name in sorted(found.keys() - sums.keys() - {"MANIFEST"})]
    wrong += [
        f"{name} is another file"
        for name, path in sorted(found.items())
        if sums.get(name, _ANY) not in {_ANY, _sum(path)}
    ]
    if wrong:
        more = f" and {len(wrong) - 3} more" if len(wrong) > 3 else ""  # noqa: PLR2004 - three tell enough
        raise BadInput(f"--bundle {tree}: differs from its MANIFEST: {', '.join(wrong[:3])}{more}; get it anew")
    if PROGRAM not in found:
        raise BadInput(f"--bundle {tree}: there is no {PROGRAM}; name the tree that has it")
    return sum(path.stat().st_size for path in found.values())


def same(tree: Path, other: Path) -> bool:
    """Two trees have the same MANIFEST, and the second is as its MANIFEST says."""
    try:
        check(other)
        return (tree / "MANIFEST").read_bytes() == (other / "MANIFEST").read_bytes()
    except (OSError, BadInput):
        return False


def _manifest(tree: Path) -> dict[str, str]:
    try:
        lines = (tree / "MANIFEST").read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--bundle {tree}: no bundle, its MANIFEST cannot be read: {error}; name the tree") from error
    pairs = (line.partition("  ") for line in lines if line)
    return {name: digest for digest, _, name in pairs}


def _sum(path: Path) -> str:
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
