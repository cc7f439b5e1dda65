"""The machine file: a machine in a few numbers, or the captured /sys of a real one.

    packages: 2        # sockets
    nodes: 2           # NUMA nodes per die; there is one die in a package unless `dies` says otherwise
    cores: 4           # per node
    threads: 2         # per core
    memory: 16Gi       # of each node, or a list with one for each

Every key has its meaning below, beside its field.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from cri_resmgr.cli.simulating import documents
from cri_resmgr.cli.simulating.documents import Bytes, CpuList, Part
from cri_resmgr.config import check, messages, texts
from cri_resmgr.errors import BadInput
from cri_resmgr.host import grids, topology
from cri_resmgr.values.machines import Machine, MemoryKind

Count = Annotated[int, Field(ge=1)]


def _each(value: Any) -> Any:
    """The amounts in a list; which one is wrong is said in words, since a list is one of two forms."""
    amount = TypeAdapter(Bytes)
    found = []
    for index, item in enumerate(value if isinstance(value, list) else [value]):
        try:
            found.append(amount.validate_python(item))
        except ValidationError as error:
            where = f"item {index + 1}: " if isinstance(value, list) else ""
            raise messages.refused(where + error.errors()[0]["msg"]) from error
    return found if isinstance(value, list) else found[0]


def _kind(word: Any) -> MemoryKind:
    try:
        return MemoryKind(word)
    except ValueError as error:
        words = ", ".join(kind.value for kind in MemoryKind)
        raise messages.refused(f"{word!r} is no kind of memory; write one of {words}") from error


class MemoryNodePart(Part):
    """A node that has memory and no CPUs; it gets the next id."""

    memory: Bytes
    """How much."""
    kind: Annotated[MemoryKind, BeforeValidator(_kind)]
    """`dram`, `pmem` or `hbm`."""
    near: Annotated[int, Field(ge=0)]
    """The node whose CPUs reach it first."""
    distance: int = 17
    """From there, in units of the kernel's distance table, where 10 is local."""


class MachineFile(Part):
    """What a machine file says; every count is per the level above."""

    packages: Count = 1
    """Sockets."""
    dies: Count = 1
    """Dies of a package."""
    nodes: Count = 1
    """NUMA nodes of a die."""
    cores: Count = 1
    """Cores of a node."""
    threads: Count = 1
    """Threads of a core."""
    memory: Annotated[int | list[int], BeforeValidator(_each)] = 2 << 30
    """Memory of each node, such as `2Gi`, or a list with one for each."""
    isolated: CpuList = 0
    """CPUs that the kernel isolates (isolcpus=), such as `8-9`."""
    offline: CpuList = 0
    """CPUs that are offline."""
    numbering: Literal["adjacent", "linux"] = "adjacent"
    """`adjacent`: the threads of a core are 2k and 2k+1; `linux`: siblings are in the second half."""
    distances: list[list[int]] | None = None
    """The matrix of distances between nodes, one row for each; the usual one unless said."""
    memory_nodes: list[MemoryNodePart] = Field(default_factory=list)
    """Nodes without CPUs."""
    host_root: str = ""
    """A directory with a captured /sys below it, instead of everything else; relative to this file."""


def read(path: str) -> tuple[Machine, Path | None]:
    """The machine that the file at `path` describes, and the root that it was found under if it is a real one.

    Raises BadInput with all problems of the file.
    """
    tree = texts.load(check.read(path))
    said = documents.part(MachineFile, tree.values, tree)
    if said is not None and said.host_root and len(said.model_fields_set) > 1:
        tree.complain(("hostRoot",), "says everything about the machine; remove the other keys, or this one")
    documents.finished(tree, path)
    assert said is not None, "a part that is not there has left a problem"  # noqa: S101
    if said.host_root:
        root = Path(path).parent / said.host_root
        return topology.discover(root), root
    try:
        return _grid(said), None
    except BadInput as error:
        raise BadInput(f"{path}: {_in_words_of_the_file(str(error))}") from error


def _grid(said: MachineFile) -> Machine:
    return grids.grid(
        packages=said.packages,
        dies=said.dies,
        nodes=said.nodes,
        cores=said.cores,
        threads=said.threads,
        memory_bytes=said.memory,
        isolated=said.isolated,
        offline=said.offline,
        numbering=said.numbering,
        distances=said.distances,
        memory_nodes=[grids.MemoryNode(n.memory, n.kind, n.near, n.distance) for n in said.memory_nodes],
    )


def _in_words_of_the_file(message: str) -> str:
    for ours, theirs in (("memory_bytes", "memory"), ("memory_nodes", "memoryNodes")):
        message = message.replace(ours, theirs)
    return message
