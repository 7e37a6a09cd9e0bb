"""Artifacts: what registered files hold, whether they agree with each other, and where each came from."""
