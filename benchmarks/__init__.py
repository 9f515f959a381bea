"""Speed and memory, as ratios measured in one run: `make bench`, or `python -m benchmarks --help`.

Whatever is compared runs in turn, round by round, so that a slow or busy machine changes both sides alike. Every figure
is the median over the rounds, with its range; where the arithmetic of layer calls foretells it, that stands beside.
"""
