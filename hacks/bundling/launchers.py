"""How commands start: in a bundle through the tree's own loader wherever it lies, in an image as plain scripts."""

import tomllib
from pathlib import Path

from bundling.recipes import PYTHON, REPOSITORY

# `pwd -P`: a daemon that was started through the link `current` keeps importing from its own version.
# Preloaded libraries are the host's and want the host's glibc.
_TREE = """\
#!/bin/sh
unset LD_PRELOAD LD_LIBRARY_PATH LD_AUDIT PYTHONHOME PYTHONPATH
self=$0
while [ -h "$self" ]; do
  link=$(readlink "$self")
  case $link in /*) self=$link ;; *) self=${self%/*}/$link ;; esac
done
tree=$(cd "${self%/*}/.." && pwd -P) || exit 1
"""
_LOADER = """\
exec "$tree/lib/ld.so" --inhibit-cache --library-path "$tree/lib" --argv0 "$tree/bin/python3" \\
  "$tree/libexec/@PYTHON@" -B -X utf8 """
_RUN = "import sys; from @MODULE@ import @FUNCTION@; sys.argv[0] = '@COMMAND@'; sys.exit(@FUNCTION@())"
_IMAGE = """\
#!/usr/libexec/@PYTHON@ -IB
import sys
from @MODULE@ import @FUNCTION@
sys.exit(@FUNCTION@())
"""


def bundle(tree: Path, commands: tuple[str, ...], *, build: str) -> None:
    """Write `bin/` of a bundle: its commands, and `python3`, which is also what Python knows as itself."""
    loader = _LOADER.replace("@PYTHON@", PYTHON)
    _write(tree / "bin/python3", f'{_TREE}{loader}"$@"\n')
    for command in commands:
        head = f"{_TREE}export CRI_RESMGR_BUILD={build}\n" if command == "cri-resmgr" else _TREE
        _write(tree / "bin" / command, f'{head}{loader}-I -c "{_filled(_RUN, command)}" "$@"\n')


def image(directory: Path, commands: tuple[str, ...]) -> None:
    """Write commands for a root file system that has a tree at `/usr`."""
    for command in commands:
        _write(directory / command, _filled(_IMAGE, command))


def _filled(template: str, command: str) -> str:
    module, function = entry(command)
    values = {"PYTHON": PYTHON, "MODULE": module, "FUNCTION": function, "COMMAND": command}
    for name, value in values.items():
        template = template.replace(f"@{name}@", value)
    return template


def entry(command: str) -> tuple[str, str]:
    """Module and function of a command, as `pyproject.toml` has them."""
    scripts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["scripts"]
    if command not in scripts:
        raise SystemExit(f"pyproject.toml has no command {command} in project.scripts")
    module, _, function = scripts[command].partition(":")
    return module, function


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
