"""Peak memory of fine-tuning wav2vec 2.0 base: folded to 8 layers and unfolded again, against all 12.

python -m benchmarks.foundation_memory
"""

from __future__ import annotations

import torch
from rich.console import Console
from tqdm import tqdm

from benchmarks.joint_step import training_paths
from benchmarks.memory import MIB, peak_in_fresh_process
from benchmarks.report import Row, Section
from benchmarks.timing import ratios
from benchmarks.workload import Workload
from fold.device import choose_device
from fold.models import Foundation
from fold.paths import PathSpace

KEPT = 8


def foundation_memory(work: Workload, device: torch.device) -> Section:
    """Two training steps of each system in a process of its own. work: batch, length and units."""
    space = PathSpace(KEPT, max_repeats=2, max_depth=Foundation(shape="WAV2VEC2_BASE").num_layers)
    joint = training_paths(space, step=0)
    all_layers = PathSpace(space.deepest.depth, max_repeats=1).seed
    systems = {
        "full": (all_layers.depth, [all_layers]),
        "compact": (KEPT, [space.seed]),
        "folded, deepest alone": (KEPT, [space.deepest]),
        "folded, joint": (KEPT, joint),
    }
    section = Section("Peak memory of fine-tuning wav2vec 2.0 base, fp32, AdamW, feature encoder frozen")
    with tqdm(total=2 * len(systems), desc="memory", unit="process", leave=False, disable=None) as bar:
        for label, checkpointing in {"": False, ", recomputing": True}.items():
            peaks: dict[str, list[float]] = {name: [] for name in systems}
            for name in systems:
                num_layers, paths = systems[name]
                network = Foundation(shape="WAV2VEC2_BASE", num_layers=num_layers, checkpoint_activations=checkpointing)
                peaks[name].append(peak_in_fresh_process(work, device, network, paths) / MIB)
                bar.update()
            section.rows.extend(Row(f"{name}{label}", values, "MiB") for name, values in peaks.items())
            section.rows.extend(
                Row(f"{name} / full{label}", ratios(peaks[name], peaks["full"])) for name in systems if name != "full"
            )
    section.notes.append(
        f"full: {all_layers.depth} layers; compact: {KEPT}; folded: {KEPT} layers, {space.deepest.depth} calls; joint: "
        "deepest + seed + one sampled path"
    )
    return section


if __name__ == "__main__":
    foundation_memory(Workload(batch_size=2, vocab_size=32), choose_device(None)).print(Console())
