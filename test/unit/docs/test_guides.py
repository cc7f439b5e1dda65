"""What the guides show is accepted by what it is for, and what they name exists."""

import itertools
import json
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cri_resmgr.cli import flags as daemon_flags
from cri_resmgr.cli import goflags
from cri_resmgr.cli import main as cli
from extension.provider_config import parse
from installer import cli as installer

ROOT = Path(__file__).parents[3]
PAGES = {path.name: path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]}
BLOCKS = [
    (name, found)
    for name, text in PAGES.items()
    for found in re.findall(r"^```yaml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
]
DEFAULTS = yaml.safe_load((ROOT / "charts/gardener-extension-cri-resmgr/values.yaml").read_text())
SCHEMA = json.loads((ROOT / "charts/gardener-extension-cri-resmgr/values.schema.json").read_text())
NAMES = re.compile(
    r"cri-resource-manager\.intel\.com/(?:group|disabled)\w*|(?<!extension_)cri_resmgr_(?:webhook_)?([a-z_]+[a-z])"
    r"|CriResmgr[A-Z]\w+|\bERR_[A-Z_]+|reason=(\w+)"
    r"|cri-resmgr-(?:agent|config|installation|removal|webhook|leader)(?:-[a-z]+)*"
)


def documents() -> Iterator[tuple[str, Any]]:
    """Every YAML block of every page, as values."""
    for name, text in BLOCKS:
        for document in yaml.safe_load_all(text):
            yield name, document


def provider_configs() -> Iterator[Any]:
    """Those of Shoots, whole or in part."""
    for name, document in documents():
        spec = document.get("spec") if isinstance(document, dict) else None
        for extension in (spec or {}).get("extensions", ()) if isinstance(spec, dict) else ():
            yield pytest.param(extension.get("providerConfig"), id=name)
        if name == "configuration-guide.md" and "workerPools" in document:
            yield pytest.param(document, id=name)


def values() -> Iterator[Any]:
    """Those of ControllerDeployments."""
    for name, document in documents():
        if found := (document.get("providerConfig") or {}).get("values"):
            yield pytest.param(found, id=name)


def texts() -> Iterator[Any]:
    """Configurations in them."""
    for found in itertools.chain(provider_configs(), values()):
        for kind, text in ((found.values[0] or {}).get("configs") or {}).items():
            yield pytest.param(text, id=f"{found.id}-{kind}")


@pytest.mark.parametrize("said", [*provider_configs()])
def test_a_provider_config_that_a_page_shows_is_accepted(said):
    parse(said)


@pytest.mark.parametrize("said", [*values()])
def test_values_that_a_page_shows_are_accepted(said):
    image = {**DEFAULTS["image"], **said.get("image", {})}
    jsonschema.validate({**DEFAULTS, **said, "image": image}, SCHEMA)


@pytest.mark.parametrize("text", [*texts()])
def test_a_configuration_that_a_page_shows_is_accepted(text, tmp_path, capsys):
    path = tmp_path / "shown.cfg"
    path.write_text(text)
    assert cli.main(["config", "check", str(path)]) == 0, capsys.readouterr().err


def test_there_is_enough_to_be_accepted():
    assert [len([*found]) for found in (provider_configs(), values(), texts())] >= [3, 2, 4]


def commands(program: str) -> Iterator[Any]:
    """Those with flags, as words without the program; what is only meant by `[…]` is there, too."""
    for name, text in PAGES.items():
        fenced = "\n".join(re.findall(r"^```(?:sh|console)?\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))
        said = "\n".join([fenced.replace("\\\n", " "), *re.findall(r"`([^`\n]+)`", text)])
        for line in re.findall(rf"(?:^[$# ]*|-- +){program} ([a-z-][^|\n]*)", said, re.MULTILINE):
            words = line.partition("  #")[0].replace("[", "").replace("]", "").split()
            if any(word.startswith("-") for word in words):
                yield pytest.param(words, id=f"{name}: {' '.join(words)}")


@pytest.mark.parametrize("words", [*commands("cri-resmgr-installer")])
def test_a_command_line_of_the_installer_on_a_page_is_one_that_it_takes(words):
    installer._parser().parse_args(words)


@pytest.mark.parametrize("words", [*commands("cri-resmgr")])
def test_a_command_line_of_the_daemon_and_its_verbs_on_a_page_is_one_that_they_take(words):
    forms = [daemon_flags.Flags] if words[0].startswith("-") else forms_of(words[0])
    known = {one for form in forms for flag in goflags.flags_of(form).values() for one in (flag.name, *flag.aliases)}
    given = {word.lstrip("-").partition("=")[0] for word in words if word.startswith("-")}
    assert given - known == set()


def forms_of(verb: str) -> list[type]:
    """What a verb takes, or what the verbs below it do."""
    module = import_module(f"cri_resmgr.cli.verbs.{verb.replace('-', '_')}")
    return [form for name, form in vars(module).items() if name.endswith("Flags") and name != "Flags"]


def test_there_are_enough_command_lines_to_be_taken():
    assert [len([*commands(program)]) for program in ("cri-resmgr-installer", "cri-resmgr")] >= [6, 8]


@pytest.mark.parametrize("name", PAGES)
def test_a_command_of_ours_on_a_page_has_a_verb_that_there_is(name):
    fenced = "\n".join(re.findall(r"^```(?:sh|console)?\n(.*?)^```$", PAGES[name], re.MULTILINE | re.DOTALL))
    told = "\n".join([fenced, *re.findall(r"`(cri-resmgr[^`\n]+)`", PAGES[name])])
    for program, verb in re.findall(
        r"^(?:[$#] )?(cri-resmgr|cri-resmgr-installer) ([a-z][a-z-]+)\b", told, re.MULTILINE
    ):
        assert verb in (cli._VERBS if program == "cri-resmgr" else installer._VERBS), f"{program} {verb}"


@pytest.mark.parametrize("name", PAGES)
def test_labels_metrics_alerts_and_objects_on_a_page_are_ones_that_the_code_has(name, sources):
    named = {found[1] or found[2] or found[0] for found in NAMES.finditer(PAGES[name])}
    assert {one for one in named if one not in sources} == set()


@pytest.fixture(scope="module")
def sources() -> str:
    """Of programs and charts."""
    paths = [path for part in ("cri_resmgr", "extension", "installer", "charts") for path in (ROOT / part).rglob("*")]
    return "\n".join(path.read_text() for path in paths if path.suffix in {".py", ".yaml", ".json", ".tpl"})


def anchors(text: str) -> set[str]:
    """Of a page's headings, as they are made from them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", PAGES)
def test_a_link_to_a_heading_leads_to_one(name):
    for page, anchor in re.findall(r"\]\(((?!https?:)[^)#]*)#([^)]+)\)", PAGES[name]):
        assert anchor in anchors(PAGES[Path(page).name or name]), f"{page}#{anchor}"
