"""Configs that MMSegmentation ships, adapted: one process, no download, other classes."""

from collections.abc import Mapping
from typing import Any

from segment.archs.common import ModelConfig

SHIPPED = "mmseg::"
"""Prefix of an arch that names a config file of the installed MMSegmentation."""


def adapt(config: Mapping[str, Any], num_classes: int) -> ModelConfig:
    """Make a shipped model config train here: one process, no download, other classes.

    Synchronised batch norm becomes batch norm; pretrained weights are dropped everywhere; every
    head predicts `num_classes` classes, with the class weights of the other dataset removed.
    """
    model = _without_downloads(config)
    for part in [key for key in model if key.endswith("head")]:
        model[part] = _with_classes(model[part], num_classes)
    for key in ("data_preprocessor", "train_cfg"):
        model.pop(key, None)
    return model


def _without_downloads(node: Any) -> Any:
    if isinstance(node, Mapping):
        plain = {key: _without_downloads(value) for key, value in node.items()}
        if plain.get("type") in ("SyncBN", "NaiveSyncBN"):
            plain["type"] = "BN"
        plain.pop("pretrained", None)
        if "Pretrained" in _init_types(plain.get("init_cfg")):
            plain.pop("init_cfg")
        return plain
    if isinstance(node, list | tuple):
        return type(node)(_without_downloads(value) for value in node)
    return node


def _init_types(init: Any) -> set[Any]:
    return {entry.get("type") for entry in (init if isinstance(init, list) else [init or {}])}


def _with_classes(node: Any, num_classes: int) -> Any:
    if isinstance(node, Mapping):
        plain = {key: _with_classes(value, num_classes) for key, value in node.items()}
        if "num_classes" in plain:
            plain["num_classes"] = num_classes
            # a two-class config may predict one map and a threshold; C maps always work
            for key in ("out_channels", "threshold"):
                plain.pop(key, None)
        plain.pop("class_weight", None)
        if plain.get("type") == "CrossEntropyLoss":
            plain["avg_non_ignore"] = True
        return plain
    if isinstance(node, list | tuple):
        return type(node)(_with_classes(value, num_classes) for value in node)
    return node
