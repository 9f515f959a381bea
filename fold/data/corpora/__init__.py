"""The corpora that `fold prepare` knows; a YAML names one as `class_path: fold.data.corpora.<name>`."""

from fold.data.corpora.base import SPLITS, Corpus, Recipe, Utterance
from fold.data.corpora.commands import Commands
from fold.data.corpora.fsdd import FSDD
from fold.data.corpora.hugging_face import HuggingFace
from fold.data.corpora.librispeech import LibriSpeech
from fold.data.corpora.manifest import Manifest
from fold.data.corpora.sentences import Sentences
from fold.data.corpora.web_shards import WebShards

__all__ = [
    "FSDD",
    "SPLITS",
    "Commands",
    "Corpus",
    "HuggingFace",
    "LibriSpeech",
    "Manifest",
    "Recipe",
    "Sentences",
    "Utterance",
    "WebShards",
]
