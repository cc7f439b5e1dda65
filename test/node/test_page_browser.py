"""The page of a node in a real browser: what it shows, that it follows, and that nobody's names do anything in it."""

import asyncio
import json
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from cri_resmgr.cli.page import serving
from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.values import cpusets
from cri_resmgr.values.events import Event
from equipment import simulated_page
from equipment.browser import Browser
from equipment.simulated_page import SimulatedNode

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(180)]

POD = """\
- create:
    pod: {name}
    namespace: {namespace}
    containers:
    - {{name: c, requests: {{cpu: {cpu}, memory: 1Gi}}, limits: {{cpu: {cpu}, memory: 1Gi}}}}
"""
NASTY = "<img src=x onerror='window.hit = 1'><script>window.hit = 1</script>"
ROWS = "document.querySelectorAll('#containers tr').length"
TEXT = "document.body.innerText"
CHOOSE = "document.querySelector('[data-key^=\"{}\"]').click()"


def pod(name: str, cpu: str = "1", namespace: str = "default") -> str:
    return POD.format(name=name, cpu=cpu, namespace=namespace)


@pytest.fixture(scope="module")
def browser():
    with Browser() as made:
        made.dress(width=1280, height=900)
        yield made


@pytest.fixture
def node(tmp_path):
    """Sixteen CPUs; one pod has two of its own, one shares, one fits nowhere."""
    made = SimulatedNode(simulated_page.machine(16))
    made.take(pod("db", "2", "shop") + pod("web", "300m", "shop") + pod("giant", "99", "shop"), tmp_path)
    return made


@asynccontextmanager
async def opened(browser, node, *, rows: int = 2):
    """The page of a node in the browser, drawn once; the server and the browser's own complaints of before are gone."""
    server = serving.server(Endpoint(host="127.0.0.1"), node.look, node.tell)
    await server.start()
    browser.said.clear()
    try:
        await asyncio.to_thread(browser.open, f"http://{server.endpoint}/")
        await asyncio.to_thread(browser.wait, f"{ROWS} === {rows}")
        yield server
    finally:
        await server.close()


async def look(browser, expression):
    return await asyncio.to_thread(browser.look, expression)


async def wait(browser, expression):
    await asyncio.to_thread(browser.wait, expression)


async def test_every_cpu_is_there_and_says_whose_it_is(browser, node):
    async with opened(browser, node):
        assert await look(browser, "document.querySelectorAll('.cpu').length") == 16
        assert await look(browser, "document.querySelectorAll('.cpu.own').length") == 2
        assert await look(browser, "document.querySelectorAll('.cpu.reserved').length") == 2
        told = await look(browser, "document.querySelector('.cpu.own').getAttribute('aria-label')")
        assert "its own: shop/db:c" in told
        assert "shop/giant" in await look(browser, "document.querySelector('#events').innerText")
        assert browser.said == []


async def test_it_follows_the_node_without_being_loaded_again(browser, node, tmp_path):
    async with opened(browser, node):
        await look(browser, "window.same = true")
        node.take(pod("late"), tmp_path)
        await wait(browser, f"{TEXT}.includes('default/late:c')")
        assert await look(browser, "document.querySelectorAll('.cpu.own').length") == 3
        node.drop("db")
        await wait(browser, "!document.querySelector('#containers').innerText.includes('db')")
        assert await look(browser, "window.same")


async def test_a_container_that_is_chosen_says_why_it_is_where_it_is(browser, node):
    (key,) = [one.key for one in (await node.look()).containers if one.holding.exclusive]
    said = json.loads(node.tell(key))
    async with opened(browser, node):
        await look(
            browser, "[...document.querySelectorAll('.link')].find(one => one.textContent === 'shop/db:c').click()"
        )
        await wait(browser, "document.querySelector('#detail dl') !== null")
        detail = await look(browser, "document.querySelector('#detail').innerText")
        assert [text for text in (*said["reasons"], said["holding"]["pool"]) if text not in detail] == []
        picked = await look(
            browser, "[...document.querySelectorAll('.cpu.picked')].map(one => Number(one.dataset.cpu))"
        )
        assert picked == sorted(cpusets.ids(cpusets.parse(said["holding"]["exclusive"])))


async def test_arrow_keys_walk_over_the_cpus_and_escape_lets_go(browser, node):
    async with opened(browser, node):
        await look(browser, "document.querySelector('.cpu').focus()")
        await asyncio.to_thread(browser.press, "ArrowRight")
        assert await look(browser, "document.activeElement.dataset.cpu") == "1"
        await look(browser, "document.querySelector('.cpu.own').click()")
        await wait(browser, "document.querySelector('.cpu.picked') !== null")
        await asyncio.to_thread(browser.press, "Escape")
        assert await look(browser, "document.querySelector('.cpu.picked')") is None


async def test_names_and_messages_of_other_people_are_text_and_do_nothing(browser, node):
    """Whatever could come from outside, wherever it is shown; the policy of the page would stop it a second time."""
    seen = await node.look()
    explained = json.loads(node.tell(seen.containers[0].key))
    explained |= {"container": NASTY, "reasons": [NASTY], "candidates": [{"pool": NASTY, "verdict": NASTY}]}
    everywhere = replace(
        seen,
        policy=NASTY,
        source=NASTY,
        health=(NASTY,),
        warnings=(NASTY,),
        pods={key: replace(one, name=NASTY, namespace=NASTY) for key, one in seen.pods.items()},
        containers=[replace(one, name=NASTY, reasons=(NASTY,)) for one in seen.containers],
        pools=[replace(one, name=NASTY) for one in seen.pools],
        events=(Event(NASTY, NASTY, 1.0, 1.0, namespace=NASTY, pod=NASTY, container=NASTY),),
    )

    async def nasty():
        return everywhere

    node.look, node.tell = nasty, lambda _: json.dumps(explained)
    async with opened(browser, node):
        await look(browser, "document.querySelector('.link').click()")
        await wait(browser, "document.querySelector('#detail dl') !== null")
        await look(browser, "document.querySelector('.cpu.own').focus()")
        assert await look(browser, "document.querySelectorAll('img, body script:not(:last-of-type)').length") == 0
        assert await look(browser, "window.hit") is None
        assert (await look(browser, TEXT)).count("<img src=x") >= 10
        assert browser.said == [], "nothing was tried that the policy of the page would have had to stop"


async def test_nothing_is_asked_of_anybody_else(browser, node):
    async with opened(browser, node) as server:
        await look(browser, "document.querySelector('.link').click()")
        await wait(browser, "document.querySelector('#detail dl') !== null")
        asked = await look(browser, "performance.getEntriesByType('resource').map(one => new URL(one.name).origin)")
        assert set(asked) == {f"http://{server.endpoint}"}


async def test_a_daemon_that_is_away_is_said_and_its_return_is_seen(browser, node):
    async with opened(browser, node) as server:
        endpoint = Endpoint(host=server.endpoint.host, port=server.endpoint.port)
        await server.close()
        await wait(browser, f"{TEXT}.includes('no answer since')")
        assert "shop/db:c" in await look(browser, TEXT), "what was seen last stays"
        again = serving.server(endpoint, node.look, node.tell)
        await again.start()
        try:
            await wait(browser, f"{TEXT}.includes('live · healthy')")
        finally:
            await again.close()


@pytest.mark.parametrize(("width", "dark"), [(390, False), (390, True), (1280, True)])
async def test_nothing_is_cut_off_on_a_phone_or_in_the_dark(browser, node, width, dark):
    await asyncio.to_thread(lambda: browser.dress(width=width, height=900, dark=dark))
    try:
        async with opened(browser, node):
            assert await look(browser, "document.documentElement.scrollWidth") <= width
            heads = "[...document.querySelectorAll('th')].map(one => one.getClientRects().length && one.clientHeight)"
            assert max(await look(browser, heads)) < 40, "no heading is broken into letters"
            ink, paper = await look(
                browser, "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
            )
            assert (_light(ink) > _light(paper)) == dark
    finally:
        await asyncio.to_thread(lambda: browser.dress(width=1280, height=900))


async def test_256_cpus_and_hundreds_of_containers_are_drawn_and_found_by_name(browser, tmp_path):
    node = SimulatedNode(simulated_page.machine(256))
    node.take("".join(pod(f"p{number}", "100m") for number in range(320)), tmp_path)
    async with opened(browser, node, rows=301):
        assert await look(browser, "document.querySelectorAll('.cpu').length") == 256
        assert "and 20 more" in await look(browser, TEXT)
        await look(
            browser,
            "(f => { f.value = 'p319'; f.dispatchEvent(new Event('input')); })(document.getElementById('filter'))",
        )
        assert await look(browser, ROWS) == 1


def _light(colour: str) -> int:
    return sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
