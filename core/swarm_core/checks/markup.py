"""XML that somebody hostile may have written: read as a stream, with no entities of its own and a bounded depth.

The parser of the standard library fetches nothing from outside; what is left to refuse is a document that declares
entities, which is how a small file becomes a large one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from xml.parsers import expat

MAX_DEPTH = 200
MAX_ELEMENTS = 2_000_000
Begin = Callable[[str, Mapping[str, str]], None]
End = Callable[[str, str], None]


class MarkupError(ValueError):
    """What is wrong with a document, with its line."""


def read_xml(data: bytes, begin: Begin, end: End = lambda name, text: None) -> str:
    """Tell ``begin`` of every element with its attributes and ``end`` of its own text. Returns the root's name.

    Namespace prefixes are dropped. Raises MarkupError.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    stack: list[tuple[str, list[str]]] = []
    root, count = "", 0

    def refuse(*_: object) -> None:
        raise MarkupError(f"line {parser.CurrentLineNumber}: it declares entities, which a report needs none of")

    def started(name: str, attributes: dict[str, str]) -> None:
        nonlocal root, count
        count += 1
        if len(stack) >= MAX_DEPTH or count > MAX_ELEMENTS:
            raise MarkupError(f"line {parser.CurrentLineNumber}: it is nested too deep or has too many elements")
        name = name.rpartition(":")[2]
        root = root or name
        stack.append((name, []))
        begin(name, attributes)

    def ended(_: str) -> None:
        name, pieces = stack.pop()
        end(name, "".join(pieces))

    def said(text: str) -> None:
        if stack:
            stack[-1][1].append(text)

    parser.EntityDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = started, ended, said
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise MarkupError(f"line {error.lineno}: {expat.errors.messages[error.code]}") from None
    except (LookupError, ValueError) as error:
        raise error if isinstance(error, MarkupError) else MarkupError(f"cannot be read: {error}") from None
    return root
