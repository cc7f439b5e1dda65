"""Configuration text to a tree of plain values, within limits; knows YAML and dotted keys, and no section.

What a key means is for the caller to say (`Spell`): `policy.static: {…}` may be `policy: {static: {…}}`.
"""

from collections.abc import Callable, Mapping

import yaml

from cri_resmgr.config import scanning
from cri_resmgr.config.reading import Reader
from cri_resmgr.config.scanning import LIMIT_BYTES, TooMuch
from cri_resmgr.config.trees import Spell, Tree, as_written

_NULL = "tag:yaml.org,2002:null"
_BEGINNING = yaml.Mark("", 0, 0, 0, None, 0)


def load(text: str, spell: Spell = as_written) -> Tree:
    """The tree of a text; without any value when the text is empty or is no YAML."""

    def fill(reader: Reader, root: yaml.Node) -> None:
        if isinstance(root, yaml.MappingNode):
            reader.fill(reader.tree.values, root, ())
        elif reader.value(root, ()) is not None:
            reader.tree.complain((), "is no mapping; write sections such as 'policy:'", reader.line(root))

    return _read(Tree(), text, fill, spell)


def load_sections(data: Mapping[str, str], spell: Spell = as_written) -> Tree:
    """The tree of several texts, each of which says what is below its key: the form of a ConfigMap."""
    tree = Tree()
    if sum(map(len, data.values())) > LIMIT_BYTES:
        tree.complain((), f"is larger than {LIMIT_BYTES} bytes; make it smaller")
        return tree
    for key in sorted(data):

        def fill(reader: Reader, root: yaml.Node) -> None:
            reader.put(tree.values, root, (), at=spell((), reader.text), line=reader.line(root))

        _read(tree, data[key], fill, spell, name=key)
    return tree


def load_list(text: str, *, limit_nodes: int) -> Tree:
    """The tree of a text that is a list: `values` has its items under their index, "0" for the first."""

    def fill(reader: Reader, root: yaml.Node) -> None:
        items = reader.value(root, ())
        if isinstance(items, list):
            reader.tree.values = {str(index): item for index, item in enumerate(items)}
        elif items is not None:
            reader.tree.complain((), "is no list; begin each item with '- '", reader.line(root))

    return _read(Tree(limit_nodes), text, fill, as_written)


def _read(tree: Tree, text: str, fill: Callable[[Reader, yaml.Node], None], spell: Spell, *, name: str = "") -> Tree:
    try:
        scanning.scan(text, limit_nodes=tree.limit_nodes)
        loader = scanning.LOADER(text)
        try:
            root = loader.get_single_node() or yaml.ScalarNode(_NULL, "", _BEGINNING)
            fill(Reader(tree, loader, spell, name), root)
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        tree.problems.append(scanning.problem(error, where=name, text=name))
    except UnicodeError:
        tree.complain((name,) if name else (), "is no Unicode text; save it as UTF-8")
    except TooMuch as error:
        tree.complain((name,) if name else (), str(error))
    return tree
