"""Text to `Settings`, with everything that is wrong said at once: where, which value, and what to do.

Runs in the checking process, the agent and the extension: `config.child` is what the daemon has.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cri_resmgr.config import messages, models, outline, scanning, texts, translating, trees
from cri_resmgr.config.outline import Entry
from cri_resmgr.config.problems import Invalid, Problem
from cri_resmgr.config.settings import Settings
from cri_resmgr.config.trees import Tree
from cri_resmgr.errors import BadInput

STDIN = "-"
ROOT = outline.of(models.Configuration)
_SHOWN_PROBLEMS = 50
_ESCAPED_BYTES = 6  # the most that JSON makes of a byte
_LATER = {
    "rdt": "the RDT controller",
    "blockio": "the block I/O controller",
    "cpu": "CPU classes",
    "resource-manager.control": "the controllers",
    **{
        f"policy.{name}": f"policy {name}"
        for name in ("static", "static-pools", "podpools", "balloons", "dynamic-pools")
    },
}


def read(path: str, *, limit_bytes: int = scanning.LIMIT_BYTES) -> str:
    """The text of a configuration file, or of standard input for `-`. Raises BadInput."""
    try:
        if path == STDIN:
            raw = sys.stdin.buffer.read(limit_bytes + 1)
        else:
            with Path(path).open("rb") as file:
                raw = file.read(limit_bytes + 1)
        if len(raw) > limit_bytes:
            raise BadInput(f"{path}: larger than {limit_bytes} bytes; is it a configuration file?")
        return raw.decode()
    except OSError as error:
        raise BadInput(f"{path}: cannot be read: {error.strerror}; name a readable file") from error
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8") from error


def read_sections(path: str) -> dict[str, str]:
    """The data of a ConfigMap: a file, or standard input for `-`, with one JSON object of texts. Raises BadInput."""
    text = read(path, limit_bytes=scanning.LIMIT_BYTES * _ESCAPED_BYTES)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{path}: no JSON: {error}; write kubectl get configmap … -o jsonpath={{.data}}") from error
    if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
        raise BadInput(
            f"{path}: not a ConfigMap's data: an object whose values are texts; the whole ConfigMap has more"
        )
    return data


def settings(text: str, source: str) -> Settings:
    """The settings that the text says. Raises Invalid with all problems; `source` is its name in messages."""
    return _settings(tree(text), source, (text,))


def settings_of_sections(data: Mapping[str, str], source: str) -> Settings:
    """The settings that a ConfigMap says: each key of its data is a section, its value the text below that.

    Raises Invalid with all problems; `source` is the ConfigMap's name in messages.  The digest does not depend on
    the order of the keys.
    """
    parts = (part for key in sorted(data) for part in (key, data[key]))
    return _settings(texts.load_sections(data, _spelled), source, parts)


def tree(text: str) -> Tree:
    """What a text says, under the names that the models have."""
    return texts.load(text, _spelled)


def _spelled(path: trees.Path, key: str) -> trees.Path:
    return outline.spelled(ROOT, path, key)


def _settings(found: Tree, source: str, parts: Iterable[str]) -> Settings:
    if found.problems:
        raise Invalid(found.problems, source)
    try:
        configuration = models.Configuration.model_validate(_filled(found.values, ROOT))
    except ValidationError as error:
        raise Invalid(_problems(error, found), source) from error
    digest = sha256("\0".join(parts).encode()).hexdigest()
    return translating.settings(configuration, source=source, digest=digest)


def _filled(values: dict[str, Any], section: Entry) -> dict[str, Any]:
    """The same with empty sections in place of those that say nothing: a section of comments is null in YAML."""
    filled = dict(values)
    for name, value in values.items():
        entry = section.below.get(name)
        if entry is not None and entry.kind is outline.Kind.SECTION and isinstance(value, dict | None):
            filled[name] = _filled(value or {}, entry)
    return filled


def _problems(error: ValidationError, found: Tree) -> Iterator[Problem]:
    details = error.errors(include_url=False)
    if len(details) > _SHOWN_PROBLEMS:
        yield Problem("", f"has {len(details) - _SHOWN_PROBLEMS} more problems than those shown; start with these")
    for detail in details[:_SHOWN_PROBLEMS]:
        path = tuple(map(str, detail["loc"]))
        later = _LATER.get(".".join(path)) if detail["type"] == "extra_forbidden" else None
        message = f"not in this version, it comes with {later}; remove it" if later else ""
        yield Problem(".".join(path), message or messages.of(detail, _known(path[:-1])), found.line_of(path))


def _known(path: trees.Path) -> Iterator[str]:
    section = outline.at(ROOT, path)
    return (name for name, entry in (section.below if section else {}).items() if not entry.idle)
