"""Tells whether a file is still what it was before a call that may have been interrupted."""

from __future__ import annotations

import hashlib
import os
import stat

from swarm_core.vocabulary.errors import SwarmError

from .beneath import open_file
from .scope import Scope


def fingerprint(scope: Scope, path_text: str) -> str:
    """The SHA-256 of a file's bytes; empty if it is not there, not a regular file, or not the service's to write."""
    try:
        fd = open_file(*scope.place(scope.check_write(path_text)))
    except (SwarmError, OSError, ValueError, IndexError):
        return ""
    with open(fd, "rb") as file:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return ""
        return hashlib.file_digest(file, "sha256").hexdigest()
