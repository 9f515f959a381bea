"""Comparing settings, also those of older versions."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

RENAMED = {  # names of older versions, which checkpoints and records keep
    "seed_everything": "random_seed",
    "model.seed": "model.random_seed",
    "data.seed": "data.random_seed",
    "data.corpus.init_args.seed": "data.corpus.init_args.random_seed",
    "model.num_sampled_paths": "model.sampler.init_args.num_paths",
    "model.growth": "model.sampler.init_args.growth",
    "model.objective.distil_where": "model.objective.distillation.where",
}
ADDED: dict[str, Any] = {  # settings that older versions had not, with what they did
    "model.sampler.class_path": "fold.sampling.DepthFirst",
    "model.objective.deepest": {"weight": 1.0, "start": 0.0, "end": 0.0},
    "model.objective.further": {},
    "data.text": {"language": "", "form": "NFKC", "case": "lower", "punctuation": "drop", "digits": "keep"},
    "data.text.tags": "keep",
}
ADDED_TO_CONFORMERS = {"model.network.init_args.layer": {"class_path": "fold.models.layers.ConformerLayers"}}


def current_names(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings of any version by their names of today."""
    named = copy.deepcopy(dict(settings))
    for former, now in RENAMED.items():
        holder, name = _holder(named, former), former.rpartition(".")[2]
        if holder is not None and name in holder:
            _put(named, now, holder.pop(name))
    network = _holder(named, "model.network.class_path") or {}
    of_network = ADDED_TO_CONFORMERS if network.get("class_path") == "fold.models.Conformer" else {}
    for name, value in (ADDED | of_network).items():
        holder = _holder(named, name)
        if holder is not None:
            holder.setdefault(name.rpartition(".")[2], copy.deepcopy(value))
    return named


def _holder(settings: dict[str, Any], name: str) -> dict[str, Any] | None:
    """The dictionary that holds the setting of a dotted name, or would hold it."""
    holder: Any = settings
    for part in name.split(".")[:-1]:
        holder = holder.get(part) if isinstance(holder, dict) else None
    return holder if isinstance(holder, dict) else None


def _put(settings: dict[str, Any], name: str, value: Any) -> None:
    *holders, last = name.split(".")
    for part in holders:
        settings = settings.setdefault(part, {})
    settings[last] = value


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Lines that name the settings which differ, `name: before -> now`; both are nested dictionaries."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*now, *(key for key in before if key not in now)]
        return [line for key in keys for line in differences(before.get(key), now.get(key), f"{name}.{key}".strip("."))]
    return [] if before == now else [f"{name}: {before} -> {now}"]
