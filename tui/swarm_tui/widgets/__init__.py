"""Widgets that paint lines: each is one widget, however much it shows."""
