"""Layers. Every tensor is (batch, time, feature); `mask` is (batch, time), True at valid frames."""
