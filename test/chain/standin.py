"""A stand-in for gardener-controller-manager and gardenlet: a process that does the part of theirs that concerns us.

    python -m chain.standin --garden KUBECONFIG --seed KUBECONFIG --directory DIRECTORY

Everything that it knows is in the two API servers, so it can be killed at any time; one round follows the other, half
a second apart.  What it does and how that differs from Gardener is said in `installations` and `shoots`.
"""

import argparse
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chain import installations, shoots
from chain.objects import CORE
from equipment.control_plane import Api, ApiError
from equipment.gardenlet import EXTENSIONS, TYPE

ROUND_S = 0.5


def step(garden: Api, seed: Api, directory: Path) -> None:
    """One round."""
    found = garden("GET", f"{CORE}/shoots")["items"]
    registration = garden.find(f"{CORE}/controllerregistrations/{TYPE}")
    wanting = [one for one in found if shoots.wants(one, registration)]
    installed = installations.work(garden, seed, directory, registration, needed=bool(wanting) or _extensions(seed))
    for one in found:
        shoots.work(garden, seed, one, wanted=one in wanting, installed=installed)


def _extensions(seed: Api) -> bool:
    return any(one["spec"]["type"] == TYPE for one in seed("GET", f"/apis/{EXTENSIONS}/extensions")["items"])


def serve(garden: Api, seed: Api, directory: Path) -> None:
    """For ever; what fails is tried again in the next round."""
    said = ""
    while True:
        try:
            step(garden, seed, directory)
        except (ApiError, OSError) as error:
            if str(error) != said:
                traceback.print_exception(error)
            said = str(error)
        time.sleep(ROUND_S)


def main(argv: Sequence[str] | None = None) -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(prog="standin")
    for name in ("garden", "seed", "directory"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    given: Any = parser.parse_args(argv)
    given.directory.mkdir(parents=True, exist_ok=True)
    serve(Api.of_kubeconfig(given.garden), Api.of_kubeconfig(given.seed), given.directory)


if __name__ == "__main__":
    main()
