"""An image with Debian's Python, one of our commands and no other libraries than its requirement file names.

The interpreter is the one of `rootfs`, the libraries are those of .venv: what is missing in a requirement file is
missing in the image, too.
"""

import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from equipment.images import File, Image, script

REPOSITORY = Path(__file__).parents[2]
_PACKAGES = "/usr/lib/python3/dist-packages"  # where Debian's Python looks by itself
_LEFT_OUT = {"__pycache__", "test", "idlelib", "ensurepip", "lib2to3", "pydoc_data", "EXTERNALLY-MANAGED"}
_LOADED = re.compile(r"(/\S+) \(0x")
_REQUIRED = re.compile(r"^([\w.-]+)==", re.MULTILINE)


def image(rootfs: Path, name: str, *, module: str, requirements: str) -> Image:
    """The image `name` runs `main` of `module`; `requirements` is a file of `requirements/`."""
    (interpreter,) = (rootfs / "usr/bin").glob("python3.[0-9][0-9]")
    ours = dict(_tree(REPOSITORY / "cri_resmgr", f"{_PACKAGES}/cri_resmgr"))
    files = {**dict(_interpreter(rootfs, interpreter.name)), **dict(_libraries(requirements)), **ours}
    program = f"from {module} import main; raise SystemExit(main())"
    files["/command"] = script(f"exec /usr/bin/{interpreter.name} -c '{program}' \"$@\"")
    return Image((name,), entrypoint=("/command",), files=files, stop_signal="SIGTERM")


def _interpreter(rootfs: Path, name: str) -> Iterator[tuple[str, File]]:
    yield f"/usr/bin/{name}", File((rootfs / "usr/bin" / name).read_bytes(), mode=0o755)
    yield from _tree(rootfs / "usr/lib" / name, f"/usr/lib/{name}")
    extensions = [f"/usr/lib/{name}/lib-dynload/{path.name}" for path in _extensions(rootfs, name)]
    command = ["chroot", rootfs, "ldd", f"/usr/bin/{name}", *extensions]
    loaded = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    for path in set(_LOADED.findall(loaded)):
        real = subprocess.run(["chroot", rootfs, "realpath", path], check=True, capture_output=True, text=True).stdout
        yield path, File((rootfs / real.strip().lstrip("/")).read_bytes(), mode=0o755)


def _extensions(rootfs: Path, name: str) -> list[Path]:
    """Those that a server needs; the others want libraries of which a slim image has none."""
    directory = rootfs / "usr/lib" / name / "lib-dynload"
    wanted = ("_ssl", "_hashlib", "_ctypes", "_bz2", "_lzma", "_uuid")
    return [path for word in wanted for path in directory.glob(f"{word}.*.so")]


def _libraries(requirements: str) -> Iterator[tuple[str, File]]:
    for required in _REQUIRED.findall((REPOSITORY / "requirements" / requirements).read_text()):
        found = distribution(required)
        for path in found.files or ():
            if ".." not in path.parts and path.suffix != ".pyc":
                yield f"{_PACKAGES}/{path}", File(Path(str(found.locate_file(path))).read_bytes(), mode=0o755)


def _tree(source: Path, target: str) -> Iterator[tuple[str, File]]:
    for path in source.rglob("*"):
        inner = path.relative_to(source)
        if path.is_file() and not _LEFT_OUT & set(inner.parts):
            yield f"{target}/{inner}", File(path.read_bytes(), mode=0o755)
