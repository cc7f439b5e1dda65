"""The configuration that holds without any, as text: what `cri-resmgr --print-config` prints."""

import yaml

from cri_resmgr.config import models


def text() -> str:
    """YAML that can be read again; keys that are not said by default are left out."""
    values = models.Configuration().model_dump(by_alias=True, exclude_none=True)
    dumped: str = yaml.safe_dump(values, sort_keys=True, default_flow_style=False)
    return dumped
