"""`upgrade`: as `install`, on a node that has something to upgrade."""

from installer import files, layout
from installer.errors import BadInput
from installer.journal import Journal
from installer.options import Options
from installer.verbs import install


def run(options: Options) -> int:
    """Do it; BadInput when nothing is installed."""
    if not Journal(files.inside(options.host_root, layout.OURS)).exists:
        raise BadInput(f"--host-root {options.host_root}: nothing is installed; use `install`")
    return install.run(options)
