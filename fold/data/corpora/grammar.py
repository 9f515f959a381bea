"""A small grammar of spoken commands: about 100 words, sentences of 2 to 9 words, numbers spelled out."""

import re

import numpy as np

# Each rule lists its alternatives, all equally likely; `<name>` stands for the rule of that name.
RULES: dict[str, tuple[str, ...]] = {
    "command": ("<timer>", "<light>", "<call>", "<music>", "<weather>", "<date>", "<dial>", "<alarm>"),
    "timer": (
        "set a timer for <number> <unit>",
        "start a <number> minute timer",
        "add <number> <unit> to the timer",
        "stop the timer in <number> <unit>",
    ),
    "light": (
        "turn <switch> the <room> light <when>",
        "turn the <room> lights <switch> at <hour> <minute>",
        "make the <room> light <colour>",
        "dim the <room> lights to <number> percent",
        "lights <switch> in the <room>",
    ),
    "call": (
        "call <person> <when>",
        "call <person> at <hour> <minute>",
        "send a message to <person> <when>",
        "<halt> the <thing>",
    ),
    "music": (
        "play some <genre> music in the <room>",
        "play song number <number>",
        "turn the volume <direction> by <number> percent",
        "set the volume to <number>",
    ),
    "weather": (
        "what is the weather in <city> <when>",
        "what is the weather on <month> <day>",
        "will it rain in <city> <when>",
        "how cold is it in <city> <when>",
    ),
    "date": (
        "what day is <month> <day>",
        "remind me on <month> <day>",
        "call <person> on <month> <day>",
        "what is on my calendar <when>",
    ),
    "dial": (
        "dial <digit> <digit> <digit>",
        "dial <digit> <digit> <digit> <digit> <digit>",
        "dial <digit> <digit> <digit> <digit> <digit> <digit> <digit>",
        "my code is <digit> <digit> <digit> <digit>",
    ),
    "alarm": (
        "wake me at <hour> <minute> <when>",
        "set an alarm for <hour> <minute>",
        "set an alarm for <hour> <when>",
        "move the alarm to <hour> <minute>",
    ),
    "number": ("<count>", "<teen>", "<tens>", "<tens> <count>"),
    "day": ("<count>", "<teen>", "twenty", "twenty <count>", "thirty"),
    "minute": ("<teen>", "<tens>", "<tens> <count>"),
    "hour": ("<count>", "ten", "eleven", "twelve"),
    "digit": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "count": ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "teen": (
        *("ten", "eleven", "twelve", "thirteen", "fourteen"),
        *("fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
    ),
    "tens": ("twenty", "thirty", "forty", "fifty"),
    "unit": ("seconds", "minutes", "hours"),
    "halt": ("stop", "cancel"),
    "thing": ("timer", "alarm", "music", "call"),
    "switch": ("on", "off"),
    "room": ("kitchen", "bedroom", "bathroom", "garden", "office"),
    "colour": ("red", "green", "blue", "white"),
    "person": ("mother", "anna", "david", "the doctor"),
    "genre": ("jazz", "rock", "piano"),
    "direction": ("up", "down"),
    "city": ("london", "paris", "berlin"),
    "when": ("now", "today", "tomorrow", "on <weekday>"),
    "weekday": ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
    "month": (
        *("january", "february", "march", "april", "may", "june"),
        *("july", "august", "september", "october", "november", "december"),
    ),
}


def sentence(rng: np.random.Generator) -> str:
    """Draw one command, lower case without punctuation."""
    return _expand("<command>", rng)


def few_words(rng: np.random.Generator) -> str:
    """Draw 1 to 7 words: as often neighbours in a command as digits."""
    number = int(rng.integers(1, 8))
    if rng.random() < 0.5:
        return _expand(" ".join(["<digit>"] * number), rng)
    words = sentence(rng).split()
    first = int(rng.integers(max(1, len(words) - number + 1)))
    return " ".join(words[first : first + number])


def vocabulary() -> list[str]:
    """Return every word a command can hold, sorted."""
    text = " ".join(alternative for rule in RULES.values() for alternative in rule)
    return sorted(set(re.sub(r"<\w+>", " ", text).split()))


def _expand(text: str, rng: np.random.Generator) -> str:
    return re.sub(r"<(\w+)>", lambda match: _expand(_choose(match[1], rng), rng), text)


def _choose(rule: str, rng: np.random.Generator) -> str:
    return RULES[rule][rng.integers(len(RULES[rule]))]
