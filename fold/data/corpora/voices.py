"""The voices of the `Commands` corpus: English accents times voice variants of espeak-ng.

A variant changes the timbre (formants, pitch, source model); an accent changes vowels, rhythm and melody.
The splits differ in variants, each spoken in every accent, so that a test voice has never been heard.
Variants that are near copies of one another (say `steph`, `steph2`, `steph3`) stay on one side.

Left out, of the 104 variants of espeak-ng 1.52:
- `whisper`, `whisperf`: no voicing;
- `RicishayMax*`, `robosoft*`, `UniRobot`, `anikaRobot`: robots, made by the loudest echo espeak-ng allows;
- `Alicia`, `Marco`: words no longer told apart (isolated words, nearest mean over all voices in cepstra
  normalised in length: 25 % and 58 % right, against a median of 100 %);
- `Reed`, `caleb`: their breath comes from the C library's `rand`, so the bytes differ between runs.
"""

ACCENTS = (
    "en",
    "en-029",
    "en-gb-scotland",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
    "en-gb-x-rp",
    "en-us",
    "en-us-nyc",
)

VARIANTS = {
    "train": (
        *("Alex", "Andy", "Annie", "AnxiousAndy", "Demonic", "Denis", "Diogo", "Gene", "Gene2"),
        *("Henrique", "Hugo", "Jacky", "Lee", "Mario", "Michael", "Mike", "Mr serious", "Storm"),
        *("Tweaky", "adam", "anika", "announcer", "antonio", "belinda", "benjamin", "croak"),
        *("ed", "edward", "edward2", "f1", "f2", "f3", "f5", "grandma", "gustave", "ian", "iven"),
        *("iven2", "iven3", "iven4", "john", "kaukovalta", "klatt", "klatt3", "klatt4", "klatt5"),
        *("klatt6", "linda", "m1", "m2", "m5", "m6", "marcelo", "max", "michel", "miguel"),
        *("mike2", "norbert", "pablo", "pedro", "quincy", "rob", "robert", "shelby", "travis"),
        *("victor", "zac"),
    ),
    "dev": ("Andrea", "Nguyen", "aunty", "f4", "grandpa", "m3", "m4", "m8", "sandro"),
    "test": ("boris", "david", "fast", "klatt2", "m7", "paul", "steph", "steph2", "steph3"),
}
