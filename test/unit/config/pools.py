"""A configuration with all that ours has not yet: parts in lists and mappings, choices, units."""

from enum import Enum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from cri_resmgr.config.forms import Form


class Order(Enum):
    PACKED = "Packed"
    BALANCED = "Balanced"


class Inner(BaseModel):
    """Something within a part."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    some_flag: bool = Field(default=False, alias="SomeFlag")
    """A flag."""


class Pool(BaseModel):
    """One pool."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    cpu_class: str = Field(default="", alias="CpuClass")
    """A class."""
    order: Order = Field(default=Order.BALANCED, alias="FillOrder")
    """How pods fill it."""
    inner: Inner = Field(default=Inner(), alias="Inner")
    """More."""


class Pools(BaseModel):
    """Pools
    of CPUs."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    pools: list[Pool] | None = Field(default=None, alias="Pools")
    """All   of
    them."""
    classes: dict[str, Pool] = Field(default_factory=dict, alias="Classes")
    """By name."""
    rdt: Literal["auto"] | bool = Field(default="auto", alias="Rdt")
    """Which."""
    limit: Annotated[int, Form("a few", {}, unit="CPUs")] | None = Field(default=None, alias="Limit")
    """How many."""
    names: list[str] = Field(default=["a"], alias="Names")
    """Some."""
    old: Any = Field(default=None, alias="Old", exclude=True)
    """Nothing."""


class Policies(BaseModel):
    """Policies."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    pools: Pools = Field(default=Pools(), alias="pod-pools")
    """Where the pools are."""
