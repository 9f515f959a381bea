"""From recordings (or synthesis) to shards on disk: corpora, units, shard format and preparation."""
