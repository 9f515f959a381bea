import re

from fold.data.corpora.base import generator
from fold.data.corpora.grammar import RULES, sentence, vocabulary

SENTENCES = [sentence(generator(i)) for i in range(4000)]


def test_sentences_are_two_to_nine_lower_case_words():
    assert all(re.fullmatch(r"[a-z]+( [a-z]+){1,8}", text) for text in SENTENCES)


def test_every_word_of_the_vocabulary_is_spoken_and_no_other():
    assert {word for text in SENTENCES for word in text.split()} == set(vocabulary())
    assert 100 <= len(vocabulary()) <= 130


def test_every_rule_is_reached_from_a_command():
    reached, open_rules = set(), {"command"}
    while open_rules:
        rule = open_rules.pop()
        reached.add(rule)
        open_rules |= set(re.findall(r"<(\w+)>", " ".join(RULES[rule]))) - reached
    assert reached == set(RULES)


def test_a_sentence_depends_on_the_generator_alone():
    assert sentence(generator("a")) == sentence(generator("a"))
    assert len(set(SENTENCES)) > len(SENTENCES) / 2
