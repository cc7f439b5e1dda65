"""The readiness probe: ready if all are content, and what is wrong comes first."""

from cri_resmgr.agent.standing import TEXT_LIMIT_CHARS, Standing, Topic


def test_nobody_has_said_anything_yet():
    assert not Standing().ready
    assert Standing().text() == "configuration: not known yet\n"


def test_it_is_ready_when_all_are_content():
    standing = Standing()
    standing.say(Topic.CONFIGURATION, "a is in use")
    assert standing.ready
    standing.say(Topic.DAEMON, "it does not answer", ready=False)
    assert not standing.ready
    standing.say(Topic.DAEMON, "policy none")
    assert standing.ready


def test_what_is_wrong_comes_first_and_what_says_nothing_not_at_all():
    standing = Standing()
    standing.say(Topic.CAPACITY, "")
    standing.say(Topic.CONFIGURATION, "a is in use")
    standing.say(Topic.DAEMON, "it does not answer", ready=False)
    assert standing.text() == "daemon: it does not answer\nconfiguration: a is in use\n"


def test_what_the_api_server_does_not_do_is_said_and_makes_nobody_unready():
    failing: dict[str, str] = {}
    standing = Standing(lambda: failing)
    standing.say(Topic.CONFIGURATION, "a is in use")
    failing |= {"nodes": "GET: refused", "events": "POST: 403", "configmaps": "GET: refused"}
    assert standing.ready
    assert standing.text() == "configuration: a is in use\nAPI server: GET: refused; POST: 403\n"


def test_a_text_has_an_end():
    standing = Standing()
    standing.say(Topic.CONFIGURATION, "x" * 2 * TEXT_LIMIT_CHARS, ready=False)
    assert len(standing.text()) == TEXT_LIMIT_CHARS + 2
    assert standing.text().endswith("…\n")
