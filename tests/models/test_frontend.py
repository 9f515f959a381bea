"""Filterbanks against torchaudio's Kaldi port; normalisation and SpecAugment by their definitions."""

import pytest
import torch
from torch import Tensor
from torchaudio.compliance import kaldi

from fold.models.frontend import STD_FLOOR, Fbank, Frontend, SpecAugmentConfig, _warp

RATE, NUM_MELS = 8000, 40


def speech(num_samples: int, seed: int = 0) -> Tensor:
    """Noise whose level and offset move, within [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    time = torch.arange(num_samples) / RATE
    noise = torch.randn(num_samples, generator=generator).clamp(-3, 3) / 4
    return noise * (0.1 + (3 * time + seed).sin().square()) * 0.8 + 0.05


def frames_of(num_samples: int) -> int:
    return (num_samples - RATE // 40) // (RATE // 100) + 1


def padded(waveforms: list[Tensor], extra: int = 0) -> tuple[Tensor, Tensor]:
    """A batch with rubbish past each end, and the number of samples."""
    num_samples = torch.tensor([len(waveform) for waveform in waveforms])
    batch = torch.rand(len(waveforms), int(num_samples.max()) + extra) - 0.5
    for row, waveform in enumerate(waveforms):
        batch[row, : len(waveform)] = waveform
    return batch, num_samples


@pytest.mark.parametrize(("sample_rate", "num_mels"), [(16000, 80), (8000, 40), (16000, 23)])
@pytest.mark.parametrize("seconds", [0.025, 0.0349, 0.035, 0.1, 1.2345])
def test_fbank_is_kaldis(sample_rate: int, num_mels: int, seconds: float) -> None:
    waveform = speech(int(seconds * sample_rate))[None]
    fbank = Fbank(sample_rate, num_mels)
    expected = kaldi.fbank(waveform * 2**15, num_mel_bins=num_mels, sample_frequency=sample_rate, dither=0.0)
    features = fbank(waveform)[0]
    assert len(features) == int(fbank.num_frames(torch.tensor(waveform.shape[1])))
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-3)


def test_silence_is_kaldis_too() -> None:
    expected = kaldi.fbank(torch.zeros(1, 800), num_mel_bins=NUM_MELS, sample_frequency=RATE, dither=0.0)
    torch.testing.assert_close(Fbank(RATE, NUM_MELS)(torch.zeros(1, 800))[0], expected)


@pytest.mark.parametrize("num_samples", [0, 1, 199])
def test_less_than_a_window_has_no_frames(num_samples: int) -> None:
    assert int(Fbank(RATE, NUM_MELS).num_frames(torch.tensor(num_samples))) == 0


@pytest.mark.parametrize("normalisation", ["utterance", "global"])
def test_a_padded_batch_gives_what_each_utterance_gives_alone(normalisation: str) -> None:
    waveforms = [speech(length, seed) for seed, length in enumerate([3000, 1234, 200, 2111])]
    frontend = Frontend(RATE, NUM_MELS, normalisation, spec_augment=None)
    frontend.mean.uniform_(2, 9)
    frontend.std.uniform_(1, 3)
    features, num_frames = frontend(*padded(waveforms, extra=500))
    assert num_frames.tolist() == [frames_of(len(waveform)) for waveform in waveforms]
    for row, waveform in enumerate(waveforms):
        [alone], _ = frontend(*padded([waveform]))
        torch.testing.assert_close(features[row, : len(alone)], alone, rtol=1e-4, atol=1e-3)
        assert not features[row, len(alone) :].any()


def test_utterance_normalisation_is_of_each_bin() -> None:
    waveform = speech(4000)
    features = Fbank(RATE, NUM_MELS)(waveform[None])[0]
    expected = (features - features.mean(0)) / features.std(0, unbiased=False)
    [normalised], _ = Frontend(RATE, NUM_MELS, "utterance", None)(*padded([waveform]))
    torch.testing.assert_close(normalised, expected, rtol=1e-4, atol=1e-4)


def test_digital_silence_stays_finite() -> None:
    [features], _ = Frontend(RATE, NUM_MELS, "utterance", None)(torch.zeros(1, 800), torch.tensor([800]))
    assert features.abs().max() < 0.01


def test_global_statistics_are_those_of_all_valid_frames() -> None:
    waveforms = [speech(length, seed) for seed, length in enumerate([3000, 1234, 900, 2111, 640])]
    frontend = Frontend(RATE, NUM_MELS, "global", None)
    frontend.fit_statistics([padded(waveforms[:2], extra=300), padded(waveforms[2:])])
    frames = torch.cat([frontend.fbank(waveform[None])[0] for waveform in waveforms]).double()
    torch.testing.assert_close(frontend.mean.double(), frames.mean(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(frontend.std.double(), frames.std(0, unbiased=False), rtol=1e-4, atol=1e-4)
    [normalised], _ = frontend(*padded([waveforms[0]]))
    expected = (frames[: len(normalised)] - frames.mean(0)) / frames.std(0, unbiased=False)
    torch.testing.assert_close(normalised.double(), expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("seconds", [1.0, 5.3, 6.9])  # of which rounding made variances below 0
def test_bins_that_never_change_have_the_least_deviation(seconds: float) -> None:
    frontend, num_samples = Frontend(RATE, NUM_MELS, "global", None), round(seconds * RATE)
    frontend.fit_statistics([padded([torch.zeros(num_samples)] * 8)] * 20)
    assert frontend.std.tolist() == pytest.approx([STD_FLOOR] * NUM_MELS)


def test_global_statistics_travel_with_the_weights() -> None:
    assert {"mean", "std"} == set(Frontend(RATE, NUM_MELS, "global", None).state_dict())


def test_features_are_fp32_under_autocast() -> None:
    frontend, batch = Frontend(RATE, NUM_MELS, "utterance", None), padded([speech(2000)])
    expected, _ = frontend(*batch)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        features, _ = frontend(*batch)
    assert torch.equal(features, expected)


def augmented(config: SpecAugmentConfig, seed: int) -> tuple[Tensor, Tensor]:
    """Features of a batch of equal utterances with and without SpecAugment."""
    waveforms, num_samples = speech(4000).expand(8, -1), torch.full((8,), 4000)
    frontend = Frontend(RATE, NUM_MELS, "utterance", config)
    torch.manual_seed(seed)
    return frontend.train()(waveforms, num_samples)[0], frontend.eval()(waveforms, num_samples)[0]


def test_spec_augment_rests_in_evaluation() -> None:
    masked, plain = augmented(SpecAugmentConfig(), seed=0)
    waveform = speech(4000)[None]
    assert torch.equal(plain[:1], Frontend(RATE, NUM_MELS, "utterance", None)(waveform, torch.tensor([4000]))[0])
    assert not torch.equal(masked, plain)


def test_spec_augment_zeroes_and_leaves_the_rest() -> None:
    masked, plain = augmented(SpecAugmentConfig(), seed=0)
    changed = masked != plain
    assert changed.any()
    assert not masked[changed].any()


def test_masks_differ_between_utterances() -> None:
    masked, _ = augmented(SpecAugmentConfig(), seed=0)
    assert len({utterance.numpy().tobytes() for utterance in masked}) == len(masked)


def mask_widths(config: SpecAugmentConfig, dim: int) -> list[int]:
    """Widths of the single mask that `config` draws along `dim` of (frames, mels), over many utterances."""
    widths = []
    for seed in range(60):
        for masked, plain in zip(*augmented(config, seed), strict=True):
            changed = masked != plain
            columns = changed.all(1 - dim)
            assert torch.equal(changed.any(1 - dim), columns)  # whole bins or whole frames
            where = columns.nonzero().flatten()
            assert len(where) == 0 or int(where[-1] - where[0]) == len(where) - 1  # side by side
            widths.append(len(where))
    return widths


def test_frequency_masks_reach_their_width() -> None:
    widths = mask_widths(SpecAugmentConfig(freq_masks=1, freq_width=10, time_masks=0, time_share=0.05), dim=1)
    assert min(widths) == 0
    assert 8 <= max(widths) <= 10


@pytest.mark.parametrize(("time_width", "time_share", "greatest"), [(12, 1.0, 12), (100, 0.2, 9), (5, 0.2, 5)])
def test_time_masks_reach_the_lesser_of_width_and_share(time_width: int, time_share: float, greatest: int) -> None:
    """4,000 samples are 48 frames."""
    config = SpecAugmentConfig(freq_masks=0, time_masks=1, time_width=time_width, time_share=time_share)
    widths = mask_widths(config, dim=0)
    assert min(widths) == 0
    assert greatest - 2 <= max(widths) <= greatest


def test_number_of_masks() -> None:
    config = SpecAugmentConfig(freq_masks=2, freq_width=6, time_masks=3, time_width=6, time_share=1.0)
    most = torch.zeros(2, dtype=torch.long)
    for seed in range(20):
        for masked, plain in zip(*augmented(config, seed), strict=True):
            changed = masked != plain
            for dim in (0, 1):
                columns = changed.all(1 - dim).int()
                starts = int((columns.diff(prepend=columns.new_zeros(1)) == 1).sum())
                most[dim] = max(int(most[dim]), starts)
    assert most.tolist() == [3, 2]


def warped(waveforms: list[Tensor], window: int, seed: int = 0, extra: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Features with nothing but time warp, without, and the numbers of frames."""
    config = SpecAugmentConfig(freq_masks=0, time_masks=0, time_warp=window)
    frontend, batch = Frontend(RATE, NUM_MELS, "utterance", config), padded(waveforms, extra)
    torch.manual_seed(seed)
    features, num_frames = frontend.train()(*batch)
    return features, frontend.eval()(*batch)[0], num_frames


def test_time_warp_is_of_each_utterance_and_knows_no_padding() -> None:
    waveforms = [speech(length, seed) for seed, length in enumerate([3000, 4000, 2111])]
    features, plain, num_frames = warped(waveforms, window=5)
    further, _, _ = warped(waveforms, window=5, extra=2000)
    for row, frames in enumerate(num_frames.tolist()):
        assert not torch.allclose(features[row, :frames], plain[row, :frames], atol=0.1)
        torch.testing.assert_close(features[row, [0, frames - 1]], plain[row, [0, frames - 1]], rtol=0.3, atol=0.3)
        assert not features[row, frames:].any()
        torch.testing.assert_close(further[row, :frames], features[row, :frames])
        assert not further[row, frames:].any()


def test_time_warp_stretches_one_part_and_squeezes_the_other() -> None:
    """Where the features are the time itself, the warp can be read off."""
    frames, window = 80, 5
    time = torch.arange(frames, dtype=torch.float32)[None, :, None].expand(400, frames, 2)
    torch.manual_seed(0)
    sources = _warp(time, torch.full((400,), frames), window)[..., 0]
    steps = sources.diff()
    assert (steps >= 0).all() and sources.min() == 0 and sources.max() == frames - 1  # in order, and to the ends
    shifts = torch.arange(frames) - sources
    greatest = shifts.abs().max(1).values
    assert greatest.max() <= window and greatest.max() > window - 0.5  # the window is reached and never left
    assert shifts.max() > window - 1 and shifts.min() < 2 - window  # either way
    assert (greatest == 0).any()  # one shift in ten is none
    bends = steps[:, 1:-1].diff().abs().gt(1e-3).sum(1)  # all frames between the ends lie on two straight lines
    assert bends.max() <= 2


def test_what_is_too_short_to_warp_stays() -> None:
    waveforms = [speech(200 + 80 * (frames - 1), seed=frames) for frames in (10, 11, 1)]
    features, plain, num_frames = warped(waveforms, window=5)
    assert num_frames.tolist() == [10, 11, 1]
    assert torch.equal(features[[0, 2]], plain[[0, 2]])
    torch.manual_seed(0)
    features, _, _ = warped([speech(150), speech(3000)], window=5)  # no frame at all
    assert features.isfinite().all() and not features[0].any()


def test_time_warp_is_that_of_the_seed() -> None:
    waveforms = [speech(3000)]
    one, two, other = (warped(waveforms, window=5, seed=seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
