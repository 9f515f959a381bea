import numpy as np
import pytest

from fold.data.corpora.espeak import synthesize
from fold.data.corpora.voices import ACCENTS, VARIANTS
from fold.errors import FoldError

SETTINGS = {"rate": 175, "pitch": 50, "pitch_range": 50, "seed": 1}


def speak(text: str, voice: str, **changes) -> np.ndarray:
    samples, sample_rate = synthesize(text, voice, **{**SETTINGS, **changes})
    assert sample_rate == 22050
    return samples


def test_splits_share_no_variant():
    assert sum(map(len, VARIANTS.values())) == len(set().union(*VARIANTS.values()))


def test_every_voice_speaks_for_a_plausible_time():
    variants = [variant for split in VARIANTS.values() for variant in split]
    for i, variant in enumerate(variants):
        samples = speak("set a timer for seven minutes", f"{ACCENTS[i % len(ACCENTS)]}+{variant}")
        loud = np.flatnonzero(np.abs(samples) > 0.05 * np.abs(samples).max())
        assert 0.8 < (loud[-1] - loud[0]) / 22050 < 3, variant
        assert 0.05 < np.abs(samples).max() <= 1, variant


# Voices with flutter, breath, echo, a Klatt synthesiser; all keep state from one text to the next in espeak-ng.
@pytest.mark.parametrize("voice", ["en-us+croak", "en-029+f3", "en+klatt2", "en-us+victor", "en-gb-x-rp+adam"])
def test_samples_do_not_depend_on_what_was_spoken_before(voice):
    first = speak("turn on the light", voice)
    speak("dial nine one", "en-gb-scotland+f5", rate=220, pitch=80, seed=7)
    np.testing.assert_array_equal(speak("turn on the light", voice), first)


def test_every_setting_changes_the_sound():
    plain = speak("turn on the light", "en-us+f2")
    changes = [{"rate": 130}, {"pitch": 70}, {"pitch_range": 90}]
    others = [speak("turn on the light", "en-us+f2", **change) for change in changes]
    others += [speak("turn on the light", "en-us+m1"), speak("turn on the light", "en-029+f2")]
    for other in others:
        assert len(other) != len(plain) or not np.array_equal(other, plain)


def test_a_slower_rate_takes_longer():
    slow, fast = (speak("turn on the light", "en-us+f2", rate=rate) for rate in (130, 220))
    assert len(slow) > 1.3 * len(fast)


def test_an_unknown_voice_is_named():
    with pytest.raises(FoldError, match="no voice 'xx-nowhere'"):
        speak("turn on the light", "xx-nowhere")
