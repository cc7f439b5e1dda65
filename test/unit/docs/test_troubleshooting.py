"""What the troubleshooting page quotes is what the programs write, and what it tells to type exists."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "troubleshooting.md").read_text()
PACKAGES = ("cri_resmgr", "extension", "installer")
QUOTES = re.findall(r"says: `([^`]+)`", PAGE) + re.findall(r"^  or `([^`]+)`", PAGE, re.MULTILINE)


def texts(source: str) -> Iterator[str]:
    """All string literals of a module; where a value is put in there is `…`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else "…" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


@pytest.fixture(scope="module")
def written() -> str:
    """Everything that our programs can say, one text a line."""
    paths = (path for package in PACKAGES for path in (ROOT / package).rglob("*.py") if not path.match("*_pb2.py"))
    return "\n".join(text for path in paths for text in texts(path.read_text()))


@pytest.mark.parametrize("quote", QUOTES)
def test_a_text_that_the_page_quotes_is_one_that_a_program_writes(quote, written):
    pieces = [piece for piece in quote.split("…") if piece.strip(" ,;:.")]
    assert pieces
    assert [piece for piece in pieces if piece not in written] == []


def test_the_page_quotes_enough_to_be_worth_a_test():
    assert len(QUOTES) >= 20
