"""What callers of the relay wait for while the daemon takes something large from its agent, and while it does not.

One caller asks for the version again and again.  Beside it a configuration of 1 MiB comes, or 5,000 Adjustments, each
time others than before.  Here *direct* is the daemon left alone: both columns are relayed.
"""

import dataclasses
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bench.rates import in_turn
from bench.results import Claim, Result, Spread, ratios
from bench.rig import Bench, Rig
from cri_resmgr.config import check
from cri_resmgr.values.adjustments import Adjustment, Effect, Scope, Statement
from equipment.agent import Agent

HANDLERS = 20_000
"""Names of 48 letters each: with their quotes nearly the MiB that a configuration may have."""
ADJUSTMENTS = 5_000
LONGEST_MOST_MS = 100.0

Push = Callable[[Agent, int], None]


def configuration(bench: Bench) -> list[Result]:
    """A configuration of 1 MiB."""
    return _measured(bench, _configurations(), name="config-1mib", title="a 1 MiB configuration")


def adjustments(bench: Bench) -> list[Result]:
    """5,000 Adjustments at once."""
    return _measured(bench, _push_adjustments, name="adjust-5000", title=f"{ADJUSTMENTS:,} Adjustments")


def _configurations() -> Push:
    """Made before anything is measured: reading a text is the agent's work, in a process of its own."""
    policy = {"Active": "topology-aware", "ReservedResources": {"CPU": "750m"}}
    made = []
    for version in "ab":
        names = [f"handler-{version}-{index:06}-{'x' * 31}" for index in range(HANDLERS)]
        text = json.dumps({"policy": {**policy, "PinnableRuntimeHandlers": names}})
        made.append(check.settings(text, "bench").to_json())

    def push(agent: Agent, number: int) -> None:
        verdict = agent.push_raw(made[number % 2], version=str(number))
        if verdict.error:
            raise RuntimeError(f"the daemon refused the configuration: {verdict.error}")

    return push


def _push_adjustments(agent: Agent, number: int) -> None:
    effect = Effect(cpu_limit_millicpu=1000 + number)
    agent.adjust(
        [
            Adjustment(f"a-{n}", (Scope((), (Statement("pod/name", "Equals", (f"pod-{n}",)),)),), effect)
            for n in range(ADJUSTMENTS)
        ],
        digest=str(number),
    )


def _measured(bench: Bench, push: Push, *, name: str, title: str) -> list[Result]:
    command = bench.relay_command.replace("--config-socket disabled", "--config-socket {dir}/config.sock")
    with (
        dataclasses.replace(bench, relay_command=command).rig() as rig,
        Agent(rig.relayed.with_name("config.sock")) as agent,
    ):

        def beside() -> dict[str, float]:
            with pushing(agent, push):
                return _waits(rig, bench.seconds)

        _push_until(agent, push, lambda _number: True)
        rounds = list(in_turn(bench.rounds, lambda: _waits(rig, bench.seconds), beside))
    return [
        _result(rounds, "p99_ms", name=f"{name}-p99", title=f"Version p99 beside {title}"),
        _result(rounds, "max_ms", name=f"{name}-longest", title="of it the longest", most_ms=LONGEST_MOST_MS),
    ]


@contextmanager
def pushing(agent: Agent, push: Push) -> Iterator[None]:
    """Push one after the other while the block lasts."""
    over, failed = threading.Event(), list[Exception]()

    def run() -> None:
        try:
            _push_until(agent, push, lambda _number: over.is_set())
        except Exception as error:  # noqa: BLE001 - told where it was asked for
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if failed:
        raise RuntimeError("it could not be pushed") from failed[0]


def _push_until(agent: Agent, push: Push, over: Callable[[int], bool]) -> None:
    number = 0
    while True:
        number += 1
        push(agent, number)
        if over(number):
            return


def _waits(rig: Rig, seconds: float) -> dict[str, float]:
    line = json.loads(rig.output("drive", rig.relayed, "-mode", "version", "-length", f"{seconds}s"))
    waits: dict[str, float] = line["calls"]["Version"]
    return waits


def _result(
    rounds: list[tuple[dict[str, float], dict[str, float]]], key: str, *, name: str, title: str,
    most_ms: float | None = None,
) -> Result:  # fmt: skip
    alone, beside = [one[key] for one, _ in rounds], [other[key] for _, other in rounds]
    spread = Spread.of(beside)
    claims = () if most_ms is None else (Claim("median", spread.median, "most", most_ms, " ms"),)
    return Result(name, title, Spread.of(alone), spread, "ms", ratio=ratios(beside, alone), claims=claims)
