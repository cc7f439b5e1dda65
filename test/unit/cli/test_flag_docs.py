import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[3]


def test_the_page_about_flags_is_what_the_flags_say():
    made = subprocess.run(
        [sys.executable, REPOSITORY / "hacks" / "make-flag-docs"], capture_output=True, text=True, check=True
    ).stdout
    assert (REPOSITORY / "docs" / "flags.md").read_text() == made, "run: hacks/make-flag-docs > docs/flags.md"
