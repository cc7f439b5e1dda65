"""The custom resource definition of Adjustments, made of the models: `python -m cri_resmgr.config.adjustment_schema`.

A structural schema knows no references and no null, so what pydantic writes is put into that form: definitions go where
they are used, `X or nothing` becomes X, and a quantity may be a text or a whole number, as in a pod.
"""

import sys
from typing import Any

import yaml
from pydantic import BaseModel

from cri_resmgr.config.adjustment_models import QUANTITY, Spec, Status

GROUP, VERSION, KIND, PLURAL = "criresmgr.intel.com", "v1alpha1", "Adjustment", "adjustments"

Schema = dict[str, Any]

_GIVEN = "(has(self.values) ? size(self.values) : 0)"
_RULES = {
    "this operator takes one value": f"!(self.operator in {['Equals', 'NotEqual', 'Matches', 'MatchesNot']}) || "
    f"{_GIVEN} == 1",
    "this operator takes no values": f"!(self.operator in {['Exists', 'NotExist', 'NotExists']}) || {_GIVEN} == 0",
}
_COLUMNS = (
    ("CPU", ".spec.resources.limits.cpu"),
    ("Memory", ".spec.resources.limits.memory"),
    ("RDT", ".spec.classes.rdt"),
    ("BlockIO", ".spec.classes.blockio"),
)


def definition() -> dict[str, Any]:
    """The object that is applied."""
    version = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [
            *({"name": name, "type": "string", "jsonPath": path} for name, path in _COLUMNS),
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "schema": {"openAPIV3Schema": _whole()},
    }
    names = {"kind": KIND, "singular": KIND.lower(), "plural": PLURAL, "listKind": f"{KIND}List"}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {"group": GROUP, "names": names, "scope": "Namespaced", "versions": [version]},
    }


def text() -> str:
    """The same as a file."""
    said = yaml.safe_dump(definition(), sort_keys=False, width=120)
    return f"# Made by `make docs` from cri_resmgr/config/adjustment_models.py.\n{said}"


def _whole() -> Schema:
    spec = structural(Spec)
    statement = spec["properties"]["scope"]["items"]["properties"]["containers"]["items"]
    statement["x-kubernetes-validations"] = [{"rule": rule, "message": message} for message, rule in _RULES.items()]
    about = "What somebody else than their authors wants containers to have."
    return {
        "type": "object",
        "description": about,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": spec,
            "status": structural(Status),
        },
    }


def structural(model: type[BaseModel]) -> Schema:
    """The model's schema as a custom resource may have it."""
    whole = model.model_json_schema()
    return _formed(whole, whole.get("$defs", {}))


def _formed(schema: Schema, definitions: Schema) -> Schema:
    """One part, without references, nulls, titles, defaults and what is forbidden (which is pruned anyway)."""
    description = schema.get("description", "")
    while "$ref" in schema or "anyOf" in schema:
        if "$ref" in schema:
            schema = definitions[schema["$ref"].rpartition("/")[2]]
            continue
        kinds = [one for one in schema["anyOf"] if one.get("type") != "null"]
        if len(kinds) > 1:
            return {"description": " ".join(description.split()), **_quantity()}
        (schema,) = kinds
    formed = {key: value for key, value in schema.items() if key in _KEPT}
    formed["description"] = " ".join((description or schema.get("description", "")).split())
    if "properties" in schema:
        formed["properties"] = {name: _formed(one, definitions) for name, one in schema["properties"].items()}
    elif isinstance(schema.get("additionalProperties"), dict):
        formed["additionalProperties"] = _formed(schema["additionalProperties"], definitions)
    if "items" in schema:
        formed["items"] = _formed(schema["items"], definitions)
    return {key: value for key, value in formed.items() if value != ""}


def _quantity() -> Schema:
    return {
        "anyOf": [{"type": "integer"}, {"type": "string"}],
        "pattern": QUANTITY,
        "minimum": 0,
        "x-kubernetes-int-or-string": True,
    }


_KEPT = frozenset({"type", "enum", "pattern", "minLength", "maxLength", "minItems", "maxItems", "minimum", "required"})

if __name__ == "__main__":
    sys.stdout.write(text())
