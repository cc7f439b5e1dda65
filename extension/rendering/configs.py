"""Configuration texts as the ConfigMaps that node agent and installer read.

A text for the agent becomes one key for each of its sections, which is the form that the agent takes; what it says is
the same, comments are not kept.  A text for a file stays as it is, to the byte.  A ConfigMap of the first kind is read
by the agent as soon as it changes; one of the second by the installer, when its pod is made anew.
"""

import json
import re
from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

import yaml

from cri_resmgr.config import check
from cri_resmgr.config.problems import Invalid
from cri_resmgr.errors import BadInput

Data = dict[str, str]
FILES = ("fallback", "force")
"""The types that the installer makes files of."""
_FALL_BACK = "# Until the node agent has another configuration for this node.\npolicy:\n  Active: none\n"
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_DUMPER: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def config_maps(configs: Mapping[str, str], on_policy_error: str) -> Iterator[tuple[str, Data]]:
    """Type and data of each ConfigMap, by type.  Raises BadInput for a text that is no configuration.

    There always is a fallback: a node that nobody configures relays everything and decides nothing.
    """
    for kind, text in sorted({"fallback": _FALL_BACK, **configs}.items()):
        if kind in FILES:
            yield kind, {f"{kind}.cfg": _file(text, kind, on_policy_error)}
        else:
            yield kind, _sections(_values(text, kind), on_policy_error)


def checksum(maps: Mapping[str, Data]) -> str:
    """Of what the installer makes files of: other bytes, another checksum, and with it new pods."""
    files = {kind: maps[kind] for kind in FILES if kind in maps}
    return sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def _file(text: str, kind: str, on_policy_error: str) -> str:
    """The text itself, unless it must say one thing more."""
    if not on_policy_error or _says_on_policy_error(values := _values(text, kind)):
        return text
    manager = values.get("resource-manager") or {}
    return _dumped({**values, "resource-manager": {**manager, "onPolicyError": on_policy_error}})


def _sections(values: dict[str, Any], on_policy_error: str) -> Data:
    data = {key: _dumped(value) for key, value in values.items()}
    if on_policy_error and not _says_on_policy_error(values):
        data["resource-manager.onPolicyError"] = _dumped(on_policy_error)
    return data


def _says_on_policy_error(values: Mapping[str, Any]) -> bool:
    return "onPolicyError" in (values.get("resource-manager") or {})


def _values(text: str, kind: str) -> dict[str, Any]:
    """What a text says, section by section."""
    tree = check.tree(text)
    if tree.problems:
        raise Invalid(tree.problems, f"configs.{kind}")
    for key in tree.values:
        if not _KEY.fullmatch(key):
            raise BadInput(f"configs.{kind}: {key!r} is no name of a section; see docs/configuration.md")
    return tree.values


def _dumped(value: Any) -> str:
    dumped = yaml.dump(value, Dumper=_DUMPER, sort_keys=False, allow_unicode=True, width=1 << 20)
    return dumped.removesuffix("...\n")
