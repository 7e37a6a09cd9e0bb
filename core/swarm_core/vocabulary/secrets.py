"""Secrets that were told once, and must not be told again: found in text and blotted out.

Two kinds are known: values that this engine was given (``Secrets.of``), in the spellings they commonly take on their
way through a program, and texts whose form gives them away (keys and tokens of well-known services, private keys,
passwords in addresses).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

MIN_CHARS = 8
BLOT = "[secret]"
# Longer than any known form but a private key: a piece of text is cut only where none of these can lie across.
LONGEST_CHARS = 256

_NAMES = re.compile(
    r"(?:^|_)(?:[A-Z0-9]*KEY|[A-Z0-9]*TOKEN|[A-Z0-9]*SECRETS?|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|CREDENTIALS?|PAT|"
    r"COOKIE|SIGNATURE|DSN|WEBHOOK|AUTH|[A-Z0-9]*PASSWORD|CONNECTION_STRING|(?:DATABASE|REDIS|MONGO|AMQP|DB)_UR[IL])"
    r"(?:$|_)",
    re.I,
)
_NOT_SECRET_NAMES = re.compile(r"(?:^|_)(?:PUBLIC|AUTHOR|TOKENIZERS?)|^(?:OLD)?PWD$|_(?:FILE|PATH|DIR|SOCK)$", re.I)
_PLACEHOLDERS = re.compile(
    r"(?:change|replace|your|insert|put|sample|dummy|todo|none|null|true|false|xxx|\*\*\*|\.\.\.|<|\$\{|\{\{).*"
    r"|.*(?:example|changeme|placeholder|your[-_]).*|(.)\1+",
    re.I | re.S,
)
_FORMS = (
    r"sk-(?:ant|proj|live|svcacct)-[A-Za-z0-9_-]{16,}",
    r"sk-[A-Za-z0-9]{32,}",
    r"(?:sk|rk)_live_[A-Za-z0-9]{16,}",
    r"gh[opsur]_[A-Za-z0-9]{30,}",
    r"github_pat_[A-Za-z0-9_]{40,}",
    r"glpat-[A-Za-z0-9_-]{18,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{20,}",
    r"(?:AKIA|ASIA)[0-9A-Z]{16}(?![0-9A-Za-z])",
    r"AIza[0-9A-Za-z_-]{35}",
    r"npm_[A-Za-z0-9]{36}",
    r"pypi-[A-Za-z0-9_-]{50,}",
    r"hf_[A-Za-z0-9]{30,}",
    r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{30,}",
    r"eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[\s\S]{0,8000}?-----END (?:[A-Z]+ )*PRIVATE KEY(?: BLOCK)?-----)?",
)
_FORM = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_FORMS)})|(?<=://)[^\s/:@'\"]{{0,64}}:[^\s/:@'\"]{{3,128}}(?=@)")
# Every form has one of these in it: most texts have none, and are looked at no further.
_HINTS = (
    *("sk-", "_live_", "ghp_", "gho_", "ghs_", "ghu_", "ghr_", "github_pat_", "glpat-", "xox", "AKIA", "ASIA", "AIza"),
    *("npm_", "pypi-", "hf_", "SG.", "eyJ", "PRIVATE KEY", "://"),
)


class Secrets:
    """Known secrets. ``redact`` blots them out of a text, ``found`` says whether one is in it.

    Values shorter than 8 characters are not looked for: they would be found everywhere.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        known = {value for value in values if len(value) >= MIN_CHARS}
        spelled = sorted({form for value in known for form in _spellings(value)}, key=len, reverse=True)
        self._values = re.compile("|".join(map(re.escape, spelled))) if spelled else None
        self._longest = max(map(len, spelled), default=0)

    @classmethod
    def of(cls, environment: Mapping[str, str], texts: Iterable[str] = ()) -> Secrets:
        """What the variables and the lines ``NAME=value`` of ``texts`` (``.env`` files) say under a telling name."""
        values = [value for name, value in environment.items() if is_secret(name, value)]
        for text in texts:
            values += [value for name, value in assignments(text) if is_secret(name, value)]
        return cls(values)

    @property
    def longest_chars(self) -> int:
        """No secret but a private key is longer: text that is cut with so much to spare holds no half of one."""
        return max(LONGEST_CHARS, self._longest)

    def redact(self, text: str) -> str:
        """``text`` with every secret replaced by ``[secret]``."""
        text = self.redact_known(text)
        return _FORM.sub(BLOT, text) if any(hint in text for hint in _HINTS) else text

    def redact_known(self, text: str) -> str:
        """As ``redact``, for known values alone: for what is carried out and not only shown."""
        return text if self._values is None else self._values.sub(BLOT, text)

    def redact_data(self, data: Any, *, known_only: bool = False) -> Any:
        """Every text in nested lists and mappings redacted, keys included; what holds no secret is returned itself."""
        if isinstance(data, str):
            return self.redact_known(data) if known_only else self.redact(data)
        if isinstance(data, Mapping):
            pairs = {
                self.redact_data(k, known_only=known_only): self.redact_data(v, known_only=known_only)
                for k, v in data.items()
            }
            return data if pairs == data else pairs
        if isinstance(data, (list, tuple)):
            items = [self.redact_data(item, known_only=known_only) for item in data]
            return data if items == list(data) else type(data)(items)
        return data

    def redact_bytes(self, data: bytes) -> bytes:
        """The same for a document; bytes that are no UTF-8 stay as they are."""
        text = data.decode("utf-8", "surrogateescape")
        blotted = self.redact(text)
        return data if blotted == text else blotted.encode("utf-8", "surrogateescape")

    def found(self, data: bytes) -> list[str]:
        """The secrets in ``data``, in order."""
        text = data.decode("utf-8", "surrogateescape")
        known = [match[0] for match in self._values.finditer(text)] if self._values is not None else []
        return [*known, *(match[0] for match in _FORM.finditer(text))]

    def line_of(self, data: bytes, before: bytes = b"") -> int:
        """The first line of ``data`` with a secret that ``before`` does not hold; 0 if there is none."""
        present = self.found(data)
        if not present:
            return 0
        new = set(present).difference(self.found(before))
        text = data.decode("utf-8", "surrogateescape")
        return min((text.count("\n", 0, text.index(secret)) + 1 for secret in new), default=0)


NO_SECRETS = Secrets()


def is_secret(name: str, value: str) -> bool:
    """Whether a variable of this name holds a secret, and not a placeholder for one."""
    if len(value) < MIN_CHARS or _NOT_SECRET_NAMES.search(name) or not _NAMES.search(name):
        return False
    return not value.startswith("/") and _PLACEHOLDERS.fullmatch(value) is None


def assignments(text: str) -> list[tuple[str, str]]:
    """``NAME=value`` lines as ``.env`` files have them: ``export``, quotes and comments are taken off."""
    found = []
    for line in text.splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name.strip()):
            continue
        value = value.strip()
        if value[:1] in ("'", '"') and value.find(value[0], 1) > 0:
            value = value[1 : value.index(value[0], 1)]
        else:
            value = value.partition(" #")[0].strip()
        found.append((name.strip(), value))
    return found


def _spellings(value: str) -> set[str]:
    """The value, quoted as in addresses and JSON, in hexadecimal, and as it lies in base64 at any offset."""
    raw = value.encode("utf-8", "surrogateescape")
    found = {value, quote(value, safe=""), value.replace("\\", "\\\\").replace('"', '\\"'), raw.hex()}
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + raw).decode()
        # What the neighbours of the value decide is left out, at both ends.
        core = text[(0, 2, 3)[offset] : len(text.rstrip("=")) - (1 if (offset + len(raw)) % 3 else 0)]
        found |= {core, core.replace("+", "-").replace("/", "_")}
    return {text for text in found if len(text) >= MIN_CHARS}
