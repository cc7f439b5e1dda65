"""What each tree has: the libraries of Debian, the wheels, our packages and commands."""

from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
PYTHON = "python3.11"
SUITE = "bookworm"
"""The release of Debian that has this Python."""

INTERPRETER = (f"{PYTHON}-minimal", f"lib{PYTHON}-minimal", f"lib{PYTHON}-stdlib")
NEEDED = (
    "libc6", "gcc-12-base", "libgcc-s1", "zlib1g", "libexpat1", "libffi8", "libbz2-1.0", "liblzma5", "libsqlite3-0",
    "libstdc++6", "libuuid1",
)  # fmt: skip
TLS = ("libssl3",)

# Extension modules that want libraries we do not take along, or that nothing of ours wants.
WITHOUT_EXTENSIONS = (
    "_codecs_*", "_crypt.*", "_ctypes_test.*", "_curses*", "_dbm.*", "_lsprof.*", "_test*", "_xx*", "audioop.*",
    "nis.*", "ossaudiodev.*", "readline.*", "xxlimited*",
)  # fmt: skip
WITHOUT_TLS = ("_ssl.*", "_hashlib.*")
WITHOUT_MODULES = (
    "__pycache__", "config-3.11-*", "distutils", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "sitecustomize.py",
    "test", "tkinter", "turtle*", "unittest", "venv", "EXTERNALLY-MANAGED",
)  # fmt: skip
WITHOUT_WHEEL_FILES = ("*.pyi", "*.c", "*.h", "*.pxd", "*.pyx", "py.typed", "RECORD", "REQUESTED", "INSTALLER", "bin")
# Read only when somebody asks for a model by name; we never do, and they are two thirds of an image.  Of the models the
# package itself is imported.
WITHOUT_MODELS = tuple(
    f"kubernetes/{kind}/{part}" for kind in ("client", "aio/client") for part in ("api", "models/[!_]*")
)
WITHOUT_TESTS = ("*/tests", "*/test", "*/testing", "pydantic/v1")


@dataclass(frozen=True)
class Recipe:
    """One tree."""

    name: str
    requirements: str
    """A file of `requirements/`."""
    commands: tuple[str, ...]
    """Names of `project.scripts`."""
    ours: tuple[str, ...] = ("cri_resmgr",)
    """Directories of the repository."""
    left_out: tuple[str, ...] = ()
    """Patterns of files in them, from the repository's root."""
    tls: bool = True
    user: str = "65532:65532"
    """Who an image with this tree runs as."""
    about: str = ""

    @property
    def debian(self) -> tuple[str, ...]:
        """All its Debian packages."""
        return (*NEEDED, *INTERPRETER, *(TLS if self.tls else ()))


BUNDLE = Recipe(
    "bundle",
    "node.txt",
    ("cri-resmgr", "cri-resmgr-installer"),
    ours=("cri_resmgr", "installer"),
    # They talk to an API server, with libraries that a node's tree has not.
    left_out=("cri_resmgr/agent", "cri_resmgr/kube", "cri_resmgr/webhook", "cri_resmgr/cli/agent*",
              "cri_resmgr/cli/webhook*"),
    tls=False,
    user="0:0",
    about="Puts the CRI resource manager on a node, and takes it away again",
)  # fmt: skip
AGENT = Recipe(
    "agent",
    "agent.txt",
    ("cri-resmgr-agent",),
    about="Brings configuration and adjustments from the cluster to the CRI resource manager of a node",
)
WEBHOOK = Recipe(
    "webhook",
    "webhook.txt",
    ("cri-resmgr-webhook",),
    about="Annotates new pods with what they request, for the CRI resource manager",
)
EXTENSION = Recipe(
    "extension",
    "extension.txt",
    ("gardener-extension-cri-resmgr",),
    ours=("cri_resmgr", "extension", "charts"),
    about="Gardener extension that brings the CRI resource manager to the nodes of a shoot",
)
RECIPES = {recipe.name: recipe for recipe in (BUNDLE, AGENT, WEBHOOK, EXTENSION)}
