"""Comparing settings."""

from __future__ import annotations

from typing import Any


def differences(before: Any, now: Any, name: str = "") -> list[str]:
    """Lines that name the settings which differ, `name: before -> now`; both are nested dictionaries."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*now, *(key for key in before if key not in now)]
        return [line for key in keys for line in differences(before.get(key), now.get(key), f"{name}.{key}".strip("."))]
    return [] if before == now else [f"{name}: {before} -> {now}"]
