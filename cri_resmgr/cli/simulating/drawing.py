"""A machine as a picture of text: packages in boxes, in them dies and nodes, in these cores with their threads.

    ┌ package 0 ────────────────────┐
    │ node 0 · 2Gi     node 1 · 2Gi │
    │ 0 1   2 3        4 5   6 7    │
    │ r 2   2 2        A A   2 2    │
    └───────────────────────────────┘

On a machine of up to `ROOMY_CPUS` every CPU has its number above its mark.  On a larger one a node is a line, with
the marks of a core together, and a node whose CPUs are all alike is folded into their number: `64 of 2`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cri_resmgr.cli import amounts
from cri_resmgr.cli.simulating import blocks
from cri_resmgr.cli.simulating.blocks import Block
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine, MemoryKind, Node, Package

ROOMY_CPUS = 64
COLUMNS = 80
_INNER = COLUMNS - 4  # what a box leaves
_PER_WORD = 4  # marks that stand together where a core has one thread only


@dataclass(frozen=True, slots=True)
class _Site:
    """Cores that are in one die and one node."""

    die: str
    """Its title, "" where another site of the die has it, or the package has one die only."""
    node: Node | None
    cores: tuple[int, ...]

    @property
    def cpus(self) -> int:
        return sum(self.cores)


def drawn(machine: Machine, marks: Mapping[int, str], *, users: Mapping[int, int]) -> Block:
    """The picture; `marks` has a character for each online CPU, `users` how many containers may use each node."""
    inside = _roomy if machine.online.bit_count() <= ROOMY_CPUS else _folded
    digits = len(str(machine.online.bit_length() - 1))
    insides = [inside(tuple(_sites(machine, package)), marks, digits) for package in machine.packages]
    columns = max(map(blocks.width, insides))
    boxes = [
        blocks.boxed(f"package {package.id}", block, columns=columns)
        for package, block in zip(machine.packages, insides, strict=True)
    ]
    return [*blocks.flowed(boxes, gap=1, columns=COLUMNS), *_memory_only(machine.nodes, users)]


def _sites(machine: Machine, package: Package) -> Iterator[_Site]:
    dies = [die for die in machine.dies if die.package == package.id]
    for die in dies:
        title = f"die {die.id}" if len(dies) > 1 else ""
        rest = die.cpus
        for node in (*machine.nodes, None):
            cpus = rest & node.cpus if node else rest
            cores = tuple(core.cpus & cpus for core in machine.cores if core.cpus & cpus)
            if cores:
                yield _Site(title, node, cores)
                title = ""
            rest &= ~cpus


def _roomy(sites: Sequence[_Site], marks: Mapping[int, str], digits: int) -> Block:
    titled = any(site.die for site in sites)
    cells = []
    for site in sites:
        title = f"node {site.node.id} · {amounts.memory(site.node.memory_bytes)}" if site.node else "no node"
        numbers = [" ".join(str(cpu).rjust(digits) for cpu in cpusets.ids(core)) for core in site.cores]
        seats = [" ".join(marks[cpu].rjust(digits) for cpu in cpusets.ids(core)) for core in site.cores]
        cores = blocks.flowed(zip(numbers, seats, strict=True), gap=3, columns=_INNER)
        cells.append([*([site.die] if titled else []), title, *cores])
    return blocks.flowed(cells, gap=5, columns=_INNER)


def _folded(sites: Sequence[_Site], marks: Mapping[int, str], digits: int) -> Block:
    titles = [f"{f'node {site.node.id}' if site.node else 'no node'}  {cpusets.text(site.cpus)}" for site in sites]
    margin = max(map(len, titles)) + 2
    lines: list[str] = []
    for site, title in zip(sites, titles, strict=True):
        lines += [site.die] if site.die else []
        words = [[word] for word in _words(site, marks)]
        rows = blocks.flowed(words, gap=1, columns=_INNER - margin)
        lines += [f"{start.ljust(margin)}{row}" for start, row in zip([title] + [""] * len(rows), rows, strict=False)]
    return lines


def _words(site: _Site, marks: Mapping[int, str]) -> list[str]:
    """What a line says of a site: the marks of its cores, or how many there are of the only one."""
    words = ["".join(marks[cpu] for cpu in cpusets.ids(core)) for core in site.cores]
    together = "".join(words)
    if len(set(together)) == 1:
        return [f"{len(together)} of {together[0]}"]
    if len(together) == len(words):
        return [together[start : start + _PER_WORD] for start in range(0, len(together), _PER_WORD)]
    return words


def _memory_only(nodes: Iterable[Node], users: Mapping[int, int]) -> Iterator[str]:
    for node in nodes:
        if not node.cpus:
            kind = "" if node.kind is MemoryKind.DRAM else f" {node.kind.value}"
            near = min((d, id_) for id_, d in node.distances.items() if id_ != node.id)
            memory, who = amounts.memory(node.memory_bytes), amounts.many(users.get(node.id, 0), "container")
            yield f"  memory node {node.id} ·{kind} {memory}, nearest to node {near[1]}; {who} may use it"
