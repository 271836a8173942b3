"""Label filters: which pixels of a set have a label that its image bears out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from data.stage.errors import UserError
from data.stage.params import PARAMS_FILE, choose, read, read_raw
from segment.trust import cross_fitted
from segment.trust.judging import FilterParams, Judging, Trusted


@dataclass(frozen=True)
class Entry:
    """A method: the class of its numbers, and what makes masks of a set and its real pairs."""

    Config: type[FilterParams]
    trusted: Callable[[Judging, Any], Trusted]


TRUST: Mapping[str, Entry] = {
    "cross_fitted": Entry(cross_fitted.Config, cross_fitted.trusted),
}


def read_filters() -> dict[str, FilterParams]:
    """Read section `trust` of params.yaml: the numbers of each set's filter."""
    section = read_raw("trust") or {}
    return {name: read_filter(name, section) for name in section}


def read_filter(name: str, section: Mapping[str, object]) -> FilterParams:
    """Read the numbers of one set's filter, `method` among them."""
    keys = choose(name, section, "set in `trust`")
    if not isinstance(keys, dict) or "method" not in keys:
        raise UserError(f"{PARAMS_FILE}: trust.{name} needs a `method`: {', '.join(TRUST)}")
    method = choose(keys["method"], TRUST, f"trust.{name}.method")
    return read(f"trust.{name}", method.Config)
