"""Rectangles of text, put beside each other, below each other, and into boxes; each has its lines and nothing else."""

from collections.abc import Iterable, Sequence

Block = Sequence[str]


def width(block: Block) -> int:
    """The columns of its longest line."""
    return max(map(len, block), default=0)


def beside(blocks: Sequence[Block], *, gap: int) -> Block:
    """The blocks from left to right, their tops level."""
    height = max(map(len, blocks), default=0)
    padded = [[line.ljust(width(block)) for line in (*block, *[""] * (height - len(block)))] for block in blocks]
    return [(" " * gap).join(row).rstrip() for row in zip(*padded, strict=True)]


def flowed(blocks: Iterable[Block], *, gap: int, columns: int) -> Block:
    """The blocks from left to right in as many rows as it takes to stay within so many columns."""
    rows: list[list[Block]] = []
    left = 0
    for block in blocks:
        needed = width(block) + gap
        if not rows or needed > left:
            rows.append([])
            left = columns + gap
        rows[-1].append(block)
        left -= needed
    return [line for row in rows for line in beside(row, gap=gap)]


def boxed(title: str, block: Block, *, columns: int = 0) -> Block:
    """The block in a box with a title in its upper edge, of so many columns inside or as many as it needs."""
    inner = max(width(block), len(title), columns)
    return [
        f"┌ {title} {'─' * (inner - len(title))}┐",
        *(f"│ {line.ljust(inner)} │" for line in block),
        f"└{'─' * (inner + 2)}┘",
    ]
