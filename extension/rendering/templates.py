"""Templates whose every value is put in as JSON, which is YAML: nothing that a user writes can become structure.

A template is YAML with jinja2's blocks.  `{{ value }}` stands for a whole YAML value, whatever its type, and what is
not defined is an error, not an empty text.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import yaml

from cri_resmgr.kube.resources import Object

_PACKAGE = Path(__file__).parents[1]
# In a wheel the charts lie in the package; in a checkout beside it.
CHARTS = next((path for path in (_PACKAGE / "charts",) if path.is_dir()), _PACKAGE.parent / "charts")
# What JSON may leave as it is and YAML does not take, or takes for the end of a line.
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def rendered(folder: str, values: Mapping[str, Any]) -> Iterator[Object]:
    """The objects of a folder's templates, by the names of the files; those of a file in its order."""
    environment = _environment(folder)
    for name in environment.list_templates(filter_func=lambda name: name[:2].isdecimal()):
        text = environment.get_template(name).render(values)
        yield from (document for document in yaml.load_all(text, _LOADER) if document)


def as_json(value: Any) -> str:
    """A value as JSON in one line of text that YAML reads as the same value."""
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises, and names what is not defined
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


@cache
def _environment(folder: str) -> jinja2.Environment:
    """Templates are compiled once; what is rendered depends on the values alone."""
    environment = jinja2.Environment(  # noqa: S701 - the output is YAML, and every value is escaped as JSON
        loader=jinja2.FileSystemLoader(CHARTS / folder),
        undefined=jinja2.StrictUndefined,
        finalize=as_json,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,  # of what is included
    )
    environment.filters["base64"] = lambda text: base64.b64encode(text.encode()).decode()
    return environment
