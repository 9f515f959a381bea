"""fold: train one small set of weights to serve every depth."""

__version__ = "0.1.0"
