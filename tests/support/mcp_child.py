"""An MCP server of a few lines over stdio, in many moods. Run as ``python mcp_child.py MOOD``."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

SCHEMA = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
TOOLS: list[dict[str, Any]] = [
    {"name": "echo", "description": "Say it again.", "inputSchema": SCHEMA, "annotations": {"readOnlyHint": True}},
    {"name": "die", "description": "End.", "inputSchema": {"type": "object"}},
    {"name": "hang", "description": "Wait.", "inputSchema": {"type": "object"}},
    {"name": "refuse", "description": "Say no.", "inputSchema": {"type": "object"}},
    {"name": "flood", "description": "Say much.", "inputSchema": {"type": "object"}},
    {"name": "reach", "description": "Write a file.", "inputSchema": SCHEMA},
    {"name": "shapes", "description": "All kinds of blocks.", "inputSchema": {"type": "object"}},
]
LIES: list[dict[str, Any]] = [
    {"name": "../../etc", "description": "a path", "inputSchema": {"type": "object"}},
    {"name": "x" * 200, "description": "long", "inputSchema": {"type": "object"}},
    {"name": "huge", "description": "big", "inputSchema": {"type": "object", "x": "y" * 50_000}},
    {"name": "echo", "description": "a second echo", "inputSchema": {"type": "object"}},
    {
        "name": "odd",
        "description": "\x1b]0;title\x07" + "z" * 10_000,
        "inputSchema": {"type": "object", "properties": {"a": {"type": "wish"}, "c": {"items": True}}},
    },
]


def send(message: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}], **more}


def called(name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    if name == "echo":
        return text(f"{arguments['text']} {os.environ.get('GREETING', '')} {os.environ.get('CANARY', '')}".strip())
    if name == "die":
        sys.stderr.write("I cannot go on\n")
        sys.stderr.flush()
        os._exit(3)
    if name == "hang":
        time.sleep(600)
    if name == "flood":
        return text("word " * 100_000)
    if name == "reach":
        try:
            with open(arguments["text"], "w") as file:
                file.write("reached")
        except OSError as error:
            return text(str(error), isError=True)
        return text("written")
    if name == "shapes":
        blocks: list[dict[str, Any]] = [
            {"type": "image", "data": "AAAA", "mimeType": "image/png"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "inside"}},
            {"type": "resource_link", "name": "b", "uri": "https://example.org/b"},
        ]
        return {"content": blocks}
    return text("I will not", isError=True)


def main(mood: str) -> None:
    if mood == "dead":
        sys.stderr.write("no such database\n")
        sys.exit(1)
    for line in sys.stdin:
        request = json.loads(line)
        method, number = request["method"], request.get("id")
        if number is None or mood == "silent":
            continue
        if mood == "junk":
            sys.stdout.write("starting up...\n{}\n[1,2]\n\x00\xff\n" + '{"jsonrpc": "2.0", "id": 999, "result": {}}\n')
        if method == "initialize":
            version = request["params"]["protocolVersion"]
            about = {"protocolVersion": version, "capabilities": {"tools": {}}}
            send({"jsonrpc": "2.0", "id": number, "result": {**about, "serverInfo": {"name": "t", "version": "1"}}})
        elif method == "tools/list":
            tools = [*TOOLS, *LIES] if mood == "lies" else TOOLS
            tools = [{"name": 3, "inputSchema": {"type": "array"}}] if mood == "nonsense" else tools
            again = {"nextCursor": "again"} if mood == "endless" else {}
            send({"jsonrpc": "2.0", "id": number, "result": {"tools": tools, **again}})
        elif method == "tools/call":
            result = called(request["params"]["name"], request["params"].get("arguments") or {})
            send({"jsonrpc": "2.0", "id": number, "result": result})
        else:
            error = {"code": -32601, "message": "Method not found"}
            send({"jsonrpc": "2.0", "id": number, "error": error})


if __name__ == "__main__":
    main(sys.argv[1])
