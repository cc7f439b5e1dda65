"""`make bench`: what the relay costs, held against the direct connection in the same run, and what a policy costs.

    PYTHONPATH=test python -m bench.run --only pod-16 --rounds 7

A bench measures: it ends with 0 whether the targets are met or not; 1 means that it could not measure.
docs/benchmarks.md says how to read the table.
"""

import argparse
import dataclasses
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from bench import build, costs, extension, pods, policy, pushes, rates
from bench.results import Result
from bench.rig import DAEMON, Bench
from bench.table import table
from equipment import Unavailable, machine
from equipment.progress import progress

Measure = Callable[[Bench], Result | list[Result]]
NEED_ROOT = ("pods", "extension")


def measurements() -> Mapping[str, Measure]:
    """All that can be measured, in the order of the report."""
    loads = {load.name: partial(rates.measure, load=load) for load in rates.LOADS}
    curve = {f"create-{alive}": partial(costs.create_among, alive=alive) for alive in (0, 300, 1_000)}
    sizes = {name: partial(policy.on_one_machine, name=name) for name in policy.SIZES}
    relay = {**loads, "burst": costs.burst, "start": costs.start, "memory": costs.memory, **curve}
    pushed = {"config-push": pushes.configuration, "adjustments-push": pushes.adjustments}
    return {
        **relay,
        **pushed,
        **sizes,
        "policy-pools": policy.by_pools,
        "pods": pods.burst,
        "extension": extension.measure,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; progress goes to standard error."""
    options = _parser().parse_args(arguments)
    try:
        bench = Bench(build.programs(), options.relay_command, options.rounds, options.seconds)
        results = measure(bench, options.only or _possible())
    except (Unavailable, RuntimeError, TimeoutError) as error:
        print(f"bench: {error}", *getattr(error, "__notes__", ()), sep="\n", file=sys.stderr)
        return 1
    if options.output == "json":
        print(json.dumps({"machine": _machine(), "results": [_plain(result) for result in results]}, indent=1))
    else:
        print("\n".join(f"{key}: {value}" for key, value in _machine().items()))
        print(f"medians of {bench.rounds} rounds of {bench.seconds:g} s, direct and relayed in turn\n")
        print(table(results))
    return 0


def measure(bench: Bench, names: Sequence[str]) -> list[Result]:
    """One measurement after the other: they would disturb each other."""
    known, results = measurements(), []
    for number, name in enumerate(names, 1):
        with progress(f"{number}/{len(names)} {name}"):
            found = known[name](bench)
        results += found if isinstance(found, list) else [found]
    return results


def _possible() -> list[str]:
    """All measurements that this user may make."""
    names = list(measurements())
    if machine.is_root():
        return names
    print(f"bench: left out, since only root may start a runtime or a seed: {', '.join(NEED_ROOT)}", file=sys.stderr)
    return [name for name in names if name not in NEED_ROOT]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="bench.run", description="Measure the relay against a direct connection, and the policy."
    )
    names = list(measurements())
    parser.add_argument(
        "--only", action="append", choices=names, metavar="NAME", help=f"may be repeated: {', '.join(names)}"
    )
    parser.add_argument("--rounds", type=_positive(int), default=5, help="rounds of each measurement (%(default)s)")
    parser.add_argument("--seconds", type=_positive(float), default=1.5, help="length of half a round (%(default)s)")
    parser.add_argument("--output", choices=("table", "json"), default="table")
    parser.add_argument(
        "--relay-command", default=DAEMON, help="another relay, with {runtime}, {relay} and {dir} in it"
    )
    return parser


def _positive(kind: type[int] | type[float]) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if value <= 0:
            raise argparse.ArgumentTypeError(f"{text} is not above 0")
        return value

    return number


def _machine() -> dict[str, str]:
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    return {
        "cpus": str(os.cpu_count()),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load average at the end": load,
    }


def _plain(result: Result) -> dict[str, object]:
    claims = [{**dataclasses.asdict(claim), "met": claim.met} for claim in result.claims]
    return {**dataclasses.asdict(result), "claims": claims, "met": result.met}


if __name__ == "__main__":
    sys.exit(main())
