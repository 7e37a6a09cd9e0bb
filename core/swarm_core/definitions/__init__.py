"""Reads what people write."""

from .config import load, parse

__all__ = ["load", "parse"]
