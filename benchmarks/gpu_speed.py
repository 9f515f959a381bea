"""Speed, memory and waits of training steps on a GPU (or, to rehearse, on the CPU)."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import mean

import torch
from torch import Tensor, nn

from benchmarks.joint_step import Step, encoder_step, model_step, training_paths
from benchmarks.peer import PRECISIONS
from benchmarks.report import Row, Section
from benchmarks.timing import interleaved, ratios, summary, synchronise
from benchmarks.workload import MAX_REPEATS, SAMPLE_RATE, Workload
from fold.models import Foundation, Recogniser
from fold.models.foundation import Shape
from fold.paths import Path, PathSpace

GIB = 2**30


def make_model(work: Workload, device: torch.device) -> Recogniser:
    torch.manual_seed(0)
    return work.conformer().build(work.vocab_size, SAMPLE_RATE).to(device).train()


def in_precision(step: Step, device: torch.device, name: str) -> Step:
    """The step under autocast, or not."""

    def run(paths: Sequence[Path]) -> None:
        with torch.autocast(device.type, PRECISIONS[name], enabled=name != "fp32"):
            step(paths)

    return run


def waits(work: Workload, device: torch.device) -> Section:
    """How often the host waits for the device in a joint step, forward and backward."""
    step = in_precision(model_step(make_model(work, device), work, device), device, "bf16")
    paths = training_paths(PathSpace(work.num_layers, MAX_REPEATS), 0)
    step(paths)
    if device.type != "cuda":
        return Section("Waits of the host for the device", notes=["counted on a GPU alone"])
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            step(paths)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return Section("Waits of the host for the device", [Row("in a joint step", [float(len(caught))], "")])


def joint_steps(work: Workload, device: torch.device, rounds: int, compiled: bool) -> Section:
    """The joint step against the deepest path alone, by precision; path by path and compiled against as it is."""
    space = PathSpace(work.num_layers, MAX_REPEATS)
    draws = [training_paths(space, number) for number in range(rounds)]
    section = Section("Joint training step of the paper's Conformer")
    for precision in PRECISIONS:
        model = make_model(work, device)
        step = in_precision(model_step(model, work, device), device, precision)
        layers = in_precision(encoder_step(model.unfolding, work, device), device, precision)
        by_path = in_precision(encoder_step(path_by_path(model), work, device), device, precision)
        calls = {
            "joint": lambda number, step=step: step(draws[number]),
            "deepest": lambda number, step=step: step(draws[number][:1]),
            "layers": lambda number, layers=layers: layers(draws[number]),
            "layers path by path": lambda number, by_path=by_path: by_path(draws[number]),
        }
        if compiled:
            other = make_model(work, device)
            for layer in other.unfolding.layers:
                layer.compile(fullgraph=True, dynamic=True)
            compiled_step = in_precision(model_step(other, work, device), device, precision)
            calls["compiled"] = lambda number, step=compiled_step: step(draws[number])
        seconds = interleaved(calls, rounds, device, f"joint step, {precision}", warm_up=3)
        pairs = [
            ("joint", "deepest"),
            ("layers", "layers path by path"),
            *([("compiled", "joint")] if compiled else []),
        ]
        for over, under in pairs:
            section.rows.append(Row(f"{precision}: {over} / {under}", ratios(seconds[over], seconds[under])))
        section.notes.append(f"{precision}: {summary(seconds)}")
    return section


def path_by_path(model: Recogniser) -> Callable[..., list[Tensor]]:
    """The layers called once for each distinct prefix."""
    return lambda x, paths, *args: [result for _, result in model.unfolding.walk(x, paths, *args)]


def growing_batches(work: Workload, device: torch.device, seconds: Sequence[float]) -> Section:
    """Audio a second and memory of the joint step in bf16, until memory is full. seconds: of audio in a batch."""
    section = Section("Joint step in bf16: batches of more and more audio")
    paths = training_paths(PathSpace(work.num_layers, MAX_REPEATS), 0)
    for audio in seconds:
        sized = replace(work, batch_size=max(1, round(audio / work.seconds)))
        try:
            took, peak = timed(
                in_precision(model_step(make_model(sized, device), sized, device), device, "bf16"), paths
            )
        except torch.OutOfMemoryError:
            section.notes.append(f"{audio:g} s: more than the memory of the device")
            break
        heard = sized.batch_size * sized.seconds * 7 / 8  # utterances last 3/4 of the longest to all of it
        section.rows.append(Row(f"{audio:g} s", [heard / took], "s/s"))
        if device.type == "cuda":
            section.rows.append(Row(f"{audio:g} s, memory", [peak / GIB], "GiB"))
    return section


def timed(step: Step, paths: Sequence[Path], repeats: int = 5) -> tuple[float, int]:
    """Seconds of a step, and the peak of the device's memory in bytes (0 on the CPU)."""
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    for _ in range(2):
        step(paths)
    synchronise(device)
    if on_gpu:
        torch.cuda.reset_peak_memory_stats()
    started = time.perf_counter()
    for _ in range(repeats):
        step(paths)
    synchronise(device)
    return (time.perf_counter() - started) / repeats, torch.cuda.max_memory_allocated() if on_gpu else 0


def wav2vec2_peer(device: torch.device, rounds: int, tiny: bool) -> Section:
    """A training step of wav2vec 2.0 base with all layers, in bf16, against that of transformers."""
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    sizes = (
        {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64} if tiny else {}
    )
    theirs = Wav2Vec2ForCTC(Wav2Vec2Config(layerdrop=0.0, apply_spec_augment=False, **sizes)).to(device).train()
    theirs.freeze_feature_encoder()
    shape = Shape(num_layers=2, dim=32, num_heads=2, ffn_dim=64) if tiny else Shape()
    ours = Foundation(shape=shape, masking=None).build(32, SAMPLE_RATE).to(device).train()
    rows, samples = (2, 16_000) if tiny else (8, 12 * SAMPLE_RATE)
    waveforms = torch.randn(rows, samples, device=device) / 10
    labels = torch.randint(3, 30, (rows, samples // 4000), device=device)
    path = PathSpace(ours_layers := len(ours.unfolding.layers), 1).seed

    def fold_step(_: int) -> None:
        with torch.autocast(device.type, torch.bfloat16):
            outputs = ours(waveforms, torch.full((rows,), samples), [path])
        ctc(outputs[0].ctc_log_probs.transpose(0, 1), outputs.num_frames).backward()
        ours.zero_grad()

    def their_step(_: int) -> None:
        with torch.autocast(device.type, torch.bfloat16):
            log_probs = theirs(waveforms).logits.float().log_softmax(-1).transpose(0, 1)
        ctc(log_probs, torch.full((rows,), len(log_probs))).backward()
        theirs.zero_grad()

    def ctc(log_probs: Tensor, lengths: Tensor) -> Tensor:
        written = torch.full((rows,), labels.shape[1])
        return nn.functional.ctc_loss(log_probs, labels, lengths, written, zero_infinity=True)

    seconds = interleaved({"fold": fold_step, "transformers": their_step}, rounds, device, "wav2vec 2.0", warm_up=2)
    section = Section(f"wav2vec 2.0 base, {ours_layers} layers, training step in bf16: fold / transformers")
    section.rows.append(Row("training step", ratios(seconds["fold"], seconds["transformers"])))
    section.notes.append(f"{summary(seconds)}; {rows * samples / SAMPLE_RATE / mean(seconds['fold']):.0f} s/s of audio")
    return section


def profile(work: Workload, device: torch.device) -> Section:
    """Where the time of a joint step in bf16 goes."""
    step = in_precision(model_step(make_model(work, device), work, device), device, "bf16")
    paths = training_paths(PathSpace(work.num_layers, MAX_REPEATS), 0)
    for _ in range(3):
        step(paths)
    activities = [torch.profiler.ProfilerActivity.CPU]
    if device.type == "cuda":
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(activities=activities) as found:
        step(paths)
        synchronise(device)
    key = f"self_{device.type}_time_total"
    table = found.key_averages().table(sort_by=key, row_limit=20, max_name_column_width=60)
    return Section("Profile of a joint step in bf16", notes=[f"```\n{table}\n```"])
