"""Comparing settings, also those of older versions."""

from __future__ import annotations

from typing import Any

RENAMED = {  # names of older versions, which checkpoints and records keep
    "seed_everything": "random_seed",
    "model.seed": "model.random_seed",
    "data.seed": "data.random_seed",
    "data.corpus.init_args.seed": "data.corpus.init_args.random_seed",
}


def current_names(settings: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings of any version by their names of today."""
    named = {}
    for name, value in settings.items():
        now = RENAMED.get(prefix + name, name).rpartition(".")[2]
        named[now] = current_names(value, f"{prefix}{name}.") if isinstance(value, dict) else value
    return named


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Lines that name the settings which differ, `name: before -> now`; both are nested dictionaries."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*now, *(key for key in before if key not in now)]
        return [line for key in keys for line in differences(before.get(key), now.get(key), f"{name}.{key}".strip("."))]
    return [] if before == now else [f"{name}: {before} -> {now}"]
