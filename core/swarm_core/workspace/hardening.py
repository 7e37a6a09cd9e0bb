"""What every git call of ours is given, so that nothing a repository or an agent planted can run or prompt.

Configuration can name programs (hooks, a file system monitor, pagers, credential helpers) and a leaked ``GIT_DIR``
can point a command at another repository. Settings given on the command line win over every configuration file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

MINIMUM_GIT = (2, 38)

_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.sshCommand=false",
    "core.fsync=committed,reference",  # a commit that is journaled must survive a power cut, loose objects included
    "credential.helper=",
    "protocol.ext.allow=never",
    "protocol.file.allow=always",
    "commit.gpgSign=false",
    "tag.gpgSign=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "diff.ignoreSubmodules=all",  # looking into a submodule starts a git there, with the configuration found there
    "merge.conflictStyle=zdiff3",
    "advice.detachedHead=false",
)
SETTINGS: tuple[str, ...] = tuple(part for setting in _SETTINGS for part in ("-c", setting))

ALWAYS: Mapping[str, str] = {
    "LC_ALL": "C",
    "LANGUAGE": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "GIT_EDITOR": "true",
    "GIT_SEQUENCE_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",  # reading must never make the owner's own git fail on index.lock
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_NO_LAZY_FETCH": "1",
}

NO_PERSONAL_CONFIG: Mapping[str, str] = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_ATTR_NOSYSTEM": "1",
}
"""Added for calls on the hub: what happens there depends on the hub alone."""


def leaked() -> list[str]:
    """The names of inherited ``GIT_*`` variables that ``ALWAYS`` does not override."""
    return [name for name in os.environ if name.startswith("GIT_") and name not in ALWAYS]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The process's environment without inherited ``GIT_*``, with ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {**kept, **ALWAYS, **(extra or {})}
