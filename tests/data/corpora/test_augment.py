import numpy as np
import pytest

from fold.data.corpora import augment

SAMPLE_RATE = 16000


def power_db(samples: np.ndarray) -> float:
    return 10 * np.log10(np.mean(samples**2))


@pytest.mark.parametrize("make", augment.NOISES)
@pytest.mark.parametrize("num_samples", [1, 101, SAMPLE_RATE])
def test_noises_are_finite_and_repeatable(make, num_samples):
    noise = make(num_samples, SAMPLE_RATE, np.random.default_rng(1))
    assert noise.shape == (num_samples,)
    assert np.isfinite(noise).all()
    np.testing.assert_array_equal(noise, make(num_samples, SAMPLE_RATE, np.random.default_rng(1)))
    assert noise.any()


@pytest.mark.parametrize("make", augment.NOISES)
@pytest.mark.parametrize("snr", [0.0, 10.0, 40.0])
def test_noise_is_added_at_the_wanted_ratio(make, snr):
    rng = np.random.default_rng(2)
    speech = rng.uniform(-0.1, 0.1, SAMPLE_RATE)
    padded = np.pad(speech, 3000)
    noise = make(len(padded), SAMPLE_RATE, rng)
    added = augment.add_noise(padded, noise, snr=snr, speech=speech) - padded
    assert power_db(speech) - power_db(added) == pytest.approx(snr, abs=1e-6)


def test_pink_noise_falls_three_decibels_an_octave():
    spectrum = np.abs(np.fft.rfft(augment.pink(1 << 18, SAMPLE_RATE, np.random.default_rng(3)))) ** 2
    frequency = np.fft.rfftfreq(1 << 18, 1 / SAMPLE_RATE)
    octaves = [spectrum[(frequency >= f) & (frequency < 2 * f)].mean() for f in (125, 250, 500, 1000, 2000, 4000)]
    np.testing.assert_allclose(np.diff(10 * np.log10(octaves)), -3.01, atol=0.7)


@pytest.mark.parametrize("num_samples", [2, 9973, 2**4 * 625, 10007])
def test_pink_noise_is_white_noise_through_a_filter_that_goes_round(num_samples):
    white = np.random.default_rng(4).standard_normal(num_samples)
    frequency = np.fft.rfftfreq(num_samples, 1 / SAMPLE_RATE)
    expected = np.fft.irfft(np.fft.rfft(white) / np.sqrt(np.maximum(frequency, 20)), num_samples)
    made = augment.pink(num_samples, SAMPLE_RATE, np.random.default_rng(4))
    np.testing.assert_allclose(made, expected, atol=1e-12)


@pytest.mark.parametrize("peak", [-20.0, -1.0, 0.0])
def test_the_peak_is_set(peak):
    scaled = augment.set_peak(np.array([0.1, -3.0, 2.0]), peak)
    assert 20 * np.log10(np.abs(scaled).max()) == pytest.approx(peak)
