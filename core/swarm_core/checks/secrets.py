"""Secrets in files: shapes that issuers publish, assignments to telling names, and private keys. Pure but for reading.

A finding says what kind of secret stands where, and never the secret: only how long it is. Nothing in a file can switch
it off; ``exclude`` is yours.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

from .files import TreeFile
from .measured import Found, Measured, not_measured, verdict
from .worker import Request

MIN_BITS = 3.2  # per character; words and placeholders are below, random letters and digits above
MIN_CHARS = 12
MAX_LINE_CHARS = 20_000
_SHAPES = (
    ("private-key", re.compile(r"-----BEGIN (?:[A-Z]{2,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")),
    ("aws-access-key", re.compile(r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b")),
    ("github-token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{60,255})\b")),
    ("gitlab-token", re.compile(r"\bglpat-[A-Za-z0-9_-]{20,64}")),
    ("slack-token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}")),
    ("slack-webhook", re.compile(r"https://hooks\.slack\.com/services/[A-Za-z0-9/]{20,100}")),
    ("stripe-key", re.compile(r"\b(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{16,250}\b")),
    ("anthropic-key", re.compile(r"\bsk-ant-[A-Za-z0-9_-]{20,250}")),
    ("openai-key", re.compile(r"\bsk-(?:proj-|svcacct-)?[A-Za-z0-9_-]{32,250}")),
    ("google-key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}\b")),
    ("npm-token", re.compile(r"\bnpm_[A-Za-z0-9]{36}\b")),
    ("sendgrid-key", re.compile(r"\bSG\.[A-Za-z0-9_-]{20,24}\.[A-Za-z0-9_-]{40,50}")),
    ("telegram-token", re.compile(r"\b\d{8,10}:AA[A-Za-z0-9_-]{33}\b")),
    ("json-web-token", re.compile(r"\beyJ[A-Za-z0-9_-]{10,2000}\.eyJ[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}")),
    ("password-in-url", re.compile(r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@'\"]{1,64}:([^\s/:@'\"{}$<>]{6,128})@")),
)
_ASSIGNED = re.compile(
    r"""(?ix) \b [\w.-]{0,40} (?: secret | passw(?:or)?d | passphrase | api[_-]?key | access[_-]?key | auth[_-]?token
        | access[_-]?token | private[_-]?key | client[_-]?secret | credential | token ) [\w-]{0,40} ['"]? \s{0,8}
        (?: = | : | := | => ) \s{0,8} (?: ['"]([^'"\s]{8,500})['"] | ([A-Za-z0-9+/=_.-]{16,500}) (?=\s|$|[,;]) )"""
)
_HARMLESS = re.compile(
    r"(?i)example|placeholder|change.?me|your[_-]|dummy|xxxx|<[^>]*>|\$\{|\{\{|^[a-z_]+(?:\.[a-z_]+)+$"
)

_WORDS = frozenset({"password", "passwd", "secret", "postgres", "username"})


def scan(request: Request) -> Measured:
    found: list[Found] = []
    unread: list[str] = []
    count = 0
    for file in request.files():
        if file.data is None:
            unread.append(file.path)
            continue
        count += 1
        found += secrets_in(file)
    if not found and unread:
        note = f"{len(unread)} files are too large to be looked at: {', '.join(unread[:3])}"
        return not_measured(note, "name them under exclude if they can hold no secret")
    if not count:
        return not_measured("there is no file to look at", "set paths, or remove the check")
    return verdict(found, f"{count} files", Fraction(len(found)))


def secrets_in(file: TreeFile) -> Iterator[Found]:
    """Binary files are looked through for the published shapes only."""
    assert file.data is not None
    text = file.data.decode("utf-8", "replace")
    is_binary = file.is_binary
    for number, line in enumerate(text.split("\n"), 1):
        for kind, length in dict(_in_line(line, is_binary)).items():
            yield Found(f"a {kind} of {length} characters", file.path, number, kind, "CRITICAL")


def _in_line(line: str, is_binary: bool) -> Iterator[tuple[str, int]]:
    """Kinds of secrets and their length. A long line is looked at in pieces that overlap."""
    step = MAX_LINE_CHARS // 2
    for begin in range(0, max(1, len(line) - step), step) if len(line) > MAX_LINE_CHARS else (0,):
        piece = line[begin : begin + MAX_LINE_CHARS]
        known = False
        for kind, shape in _SHAPES:
            for match in shape.finditer(piece):
                value = match[match.lastindex or 0]
                if not _HARMLESS.search(value) and value.lower() not in _WORDS:
                    known = True
                    yield kind, len(match[0])
        if not known and not is_binary:
            for match in _ASSIGNED.finditer(piece):
                value = match[1] or match[2]
                if looks_random(value):
                    yield "hard-coded credential", len(value)


def looks_random(value: str) -> bool:
    """Whether a text is more likely a secret than a word: long, mixed, and of high entropy (Shannon, per character)."""
    if len(value) < MIN_CHARS or _HARMLESS.search(value):
        return False
    kinds = sum(bool(re.search(one, value)) for one in ("[a-z]", "[A-Z]", "[0-9]"))
    return kinds >= 2 and entropy(value) >= MIN_BITS


def entropy(value: str) -> float:
    """Bits per character."""
    total = len(value)
    return -sum(n / total * math.log2(n / total) for n in Counter(value).values())
