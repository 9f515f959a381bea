"""Exact word and character error counts."""

from fold.metrics.errors import ErrorCounts, PathErrors, count_errors

__all__ = ["ErrorCounts", "PathErrors", "count_errors"]
