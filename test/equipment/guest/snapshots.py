"""Guests that are ready for pods: booted once for each machine and init, saved, and gone on from any number of times.

A snapshot holds the files of the guest's memory, its devices' state, and what it wrote to its disk.  containerd runs
in it and has its images, and one pod has come and gone: what is needed has been read once.  Memory is written
on a file system that lives in memory: elsewhere the kernel would write each touched page to the disk.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from equipment import cache, machine
from equipment.guest.calls import Calls
from equipment.guest.command import Places, command
from equipment.guest.guest import Guest, wait_until
from equipment.guest.image import IMAGES, PYTHON, image
from equipment.guest.inits import Init
from equipment.guest.pods import Pods
from equipment.guest.topologies import Topology
from equipment.guest.workloads import guaranteed

MEMORY = Path("/dev/shm/cri-resmgr-guest")
RUNTIME_SOCKET = "/run/containerd/containerd.sock"
PACKAGES = ("qemu-system-x86", "qemu-utils")
_IMPORT_IMAGES = f"ctr --namespace k8s.io images import {IMAGES}"
_WARM_UP = guaranteed("warm-up", 1000)
_READ_LIBRARIES = f"{PYTHON} -c 'import asyncio, google.protobuf.message, pydantic, sqlite3, structlog, yaml'"


@dataclass(frozen=True)
class Snapshot:
    """A directory, and which guest it goes with."""

    directory: Path
    image: Path
    topology: Topology
    init: Init

    def restore(self) -> Guest:
        """A guest that goes on from here. Raises Lost when it does not."""
        places = Places(self.image, self.directory / "memory", run_directory())
        guest = Guest(self.topology, self.init, places)
        try:
            guest.restore(self.directory / "state", self.directory / "disk.qcow2")
        except BaseException:
            guest.close()
            raise
        return guest


def run_directory() -> Path:
    """Where the one guest that runs has its sockets, disk and logs: the next run must find what a killed one left."""
    path = cache.directory() / "run" / "guest"
    path.mkdir(parents=True, exist_ok=True)
    return path


def snapshot(topology: Topology, init: Init) -> Snapshot:
    """The snapshot of this machine, made when there is none. Raises Unavailable."""
    machine.ensure_apt(*PACKAGES)
    base = image()
    nowhere = command(topology, init, Places(Path(), Path(), Path()), incoming=False)
    version = subprocess.run(["qemu-system-x86_64", "--version"], check=True, capture_output=True, timeout=60)
    digest = cache.key((base / "identity").read_text(), version.stdout, Path(__file__), *nowhere, init.start_containerd)
    name = f"guest-{topology.name}-{init.name}"
    places = Places(base, MEMORY, run_directory())
    directory = cache.entry(name, digest, lambda place: _make(place, topology, init, places), about="1 min")
    return Snapshot(directory, base, topology, init)


def _make(place: Path, topology: Topology, init: Init, places: Places) -> None:
    guest = Guest(topology, init, places)
    try:
        shutil.rmtree(MEMORY, ignore_errors=True)  # a killed run may have left it
        MEMORY.mkdir()
        guest.boot()
        guest.run(init.start_containerd)
        wait_until(lambda: guest.connects(RUNTIME_SOCKET), "containerd")
        guest.run(_IMPORT_IMAGES)
        guest.run(_READ_LIBRARIES)
        calls = Calls(guest, RUNTIME_SOCKET)
        pods = Pods(guest, calls)
        pods.run(_WARM_UP)
        pods.remove_all()
        calls.close()
        guest.save(place / "state")
        subprocess.run(["cp", "-r", "--sparse=always", MEMORY, place / "memory"], check=True, timeout=600)
        places.disk.rename(place / "disk.qcow2")
    except Exception as error:
        error.add_note(guest.console()[-4000:])
        raise
    finally:
        guest.close()
        shutil.rmtree(MEMORY, ignore_errors=True)
