"""WebFetch reaches the hosts that are open and nothing inside the network, and always comes to an end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tests.support.agents import SteppingClock
from tests.support.tools import bench

from swarm_core.tools import web
from swarm_core.tools.base import Tool, ToolResult
from swarm_core.tools.schema import violations
from swarm_core.tools.toolbox import Toolbox
from swarm_core.tools.web import WEB_FETCH, Web, allows, is_public
from swarm_core.tools.web_text import page_text
from swarm_core.vocabulary.spec import ServiceSpec


def html(body: str, kind: str = "text/html; charset=utf-8", status: str = "200 OK", **headers: str) -> bytes:
    data = body.encode()
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n{more}\r\n".encode() + data


class Site:
    """A server on loopback that is known as ``site.test``; ``asked`` are the paths that were asked for."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.heads: list[str] = []
        self.looked_up: list[str] = []
        self.hangs: set[str] = set()
        self.addresses: Sequence[str] = ("127.0.0.1",)
        self.port = 0
        self.clock = SteppingClock()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        path = head.split()[1]
        self.asked.append(path)
        self.heads.append(head)
        if path in self.hangs:
            await reader.read()
        else:
            writer.write(self.pages.get(path, html("gone", status="404 Not Found")))
        writer.close()

    async def find(self, host: str, port: int) -> Sequence[str]:
        self.looked_up.append(host)
        return self.addresses

    def url(self, path: str = "/", host: str = "site.test") -> str:
        return f"http://{host}:{self.port}{path}"

    def web(self, scratch: Path, *network: str, judge: Callable[[str], bool] | None = None) -> Callable[..., Any]:
        service = ServiceSpec("backend", directories=("b",), network=network or (f"site.test:{self.port}",))
        may_connect = judge or (lambda address: address == "127.0.0.1")
        tool = Web(service, scratch, self.clock, find=self.find, may_connect=may_connect)
        scope = bench(scratch / "bench").scope
        box = Toolbox(scope, [Tool(WEB_FETCH, tool.call)], service)

        async def fetch(url: str, **more: Any) -> ToolResult:
            return await box.call("WebFetch", {"url": url, **more})

        return fetch


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    yield made
    server.close()


async def test_a_page_is_fetched_as_text_once_in_fifteen_minutes(site: Site, tmp_path: Path) -> None:
    site.pages["/a?q=1"] = html("<title>T</title><h1>Hello</h1><a href='/b'>next</a>\x1b]0;x\x07")
    fetch = site.web(tmp_path)
    first = await fetch(site.url("/a?q=1#part"), prompt="what is it?")
    assert not first.is_error
    assert first.text.startswith(f"{site.url('/a?q=1')} (status 200), fetched for: what is it?\n\nT\n\n# Hello")
    assert f"[next]({site.url('/b')})" in first.text
    assert "\x1b" not in first.text
    assert (await fetch(site.url("/a?q=1"))).text.endswith(first.text.split("\n\n", 1)[1])
    assert site.asked == ["/a?q=1"]
    await site.clock.sleep(15 * 60)
    await fetch(site.url("/a?q=1"))
    assert len(site.asked) == 2
    assert "cookie" not in site.heads[0].lower()


async def test_without_an_open_host_nothing_is_even_looked_up(site: Site, tmp_path: Path) -> None:
    for number, network in enumerate((("other.test",), ("site.test",), (f"*.site.test:{site.port}",))):
        result = await site.web(tmp_path / str(number), *network)(site.url())
        assert result.denied is not None
        assert result.denied.rule == "network"
        assert network[0] in result.text
    assert (site.looked_up, site.asked) == ([], [])


@pytest.mark.parametrize(
    "addresses", [(), ("10.0.0.1",), ("93.184.216.34", "127.0.0.1"), ("169.254.169.254",), ("::ffff:10.0.0.1",)]
)
async def test_a_name_that_leads_inside_the_network_is_not_fetched(
    site: Site, tmp_path: Path, addresses: Sequence[str]
) -> None:
    site.addresses = addresses
    result = await site.web(tmp_path, judge=is_public)(site.url())
    assert result.denied is not None
    assert site.asked == []


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1:248:1893:25c8:1946", True),
        *(
            (address, False)
            for address in ["127.0.0.1", "10.1.2.3", "192.168.0.1", "172.16.0.1", "169.254.169.254", "0.0.0.0"]
        ),
        *(
            (address, False)
            for address in ["100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "::", "fe80::1", "fc00::1"]
        ),
        *(
            (address, False)
            for address in ["::ffff:127.0.0.1", "2002:7f00:1::", "64:ff9b::7f00:1", "fe80::1%eth0", "nothing"]
        ),
    ],
)
def test_public_addresses_are_told_from_all_others(address: str, public: bool) -> None:
    assert is_public(address) is public


@pytest.mark.parametrize(
    ("domain", "host", "port", "is_open"),
    [
        ("example.org", "example.org", 443, True),
        ("example.org", "example.org", 80, True),
        ("example.org", "example.org", 8080, False),
        ("example.org:8080", "example.org", 8080, True),
        ("example.org:8080", "example.org", 443, False),
        ("example.org", "a.example.org", 443, False),
        ("*.example.org", "a.b.example.org", 443, True),
        ("*.example.org", "example.org", 443, False),
        ("*.example.org", "evilexample.org", 443, False),
        ("Example.ORG.", "example.org", 443, True),
    ],
)
def test_a_list_of_hosts_opens_what_it_names(domain: str, host: str, port: int, is_open: bool) -> None:
    assert allows((domain,), host, port) is is_open


async def test_redirects_are_followed_on_the_same_host_and_told_otherwise(site: Site, tmp_path: Path) -> None:
    site.pages["/old"] = html("", status="302 Found", Location="/new")
    site.pages["/new"] = html("here")
    site.pages["/away"] = html("", status="301 Moved", Location="https://evil.test/x?secret=1")
    site.pages["/scheme"] = html("", status="301 Moved", Location="file:///etc/passwd")
    site.pages["/loop"] = html("", status="307 Again", Location="/loop")
    fetch = site.web(tmp_path)
    assert (await fetch(site.url("/old"))).text.endswith("/new (status 200)\n\nhere")
    away = await fetch(site.url("/away"))
    assert "redirects to another host: https://evil.test/x?secret=1\n" in away.text
    assert "file:///etc/passwd" in (await fetch(site.url("/scheme"))).text
    assert "redirects more than 5 times" in (await fetch(site.url("/loop"))).text
    assert set(site.looked_up) == {"site.test"}


@pytest.mark.parametrize(
    "url",
    [
        *("", "site.test", "ftp://site.test/", "file:///etc/passwd", "http://", "http://u:p@site.test/", "http://a b/"),
        *("http://site.test:99999/", "http://[::1/", "http://site.test/\r\nHost: x", "http://\ud800/", "javascript:1"),
    ],
)
async def test_what_is_no_address_is_an_error(site: Site, tmp_path: Path, url: str) -> None:
    result = await site.web(tmp_path)(url)
    assert result.is_error
    assert result.denied is None
    assert site.looked_up == []


async def test_a_server_that_misbehaves_is_an_error_with_a_reason(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "TIMEOUT_S", 0.3)
    site.hangs.add("/never")
    site.pages |= {
        "/junk": b"\x00\x01 not http\r\n\r\n",
        "/nothing": b"",
        "/short": b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nabc",
        "/zip": html("x", kind="application/zip"),
        "/binary": html("a\0b"),
        "/gzip": html("x", Content_Encoding="gzip"),
        "/headers": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"\r\n",
    }
    fetch = site.web(tmp_path)
    for path, words in (
        ("/never", "did not answer within"),
        ("/junk", "cannot be fetched"),
        ("/nothing", "cannot be fetched"),
        ("/short", "cannot be fetched"),
        ("/zip", "application/zip, not text"),
        ("/binary", "not text"),
        ("/gzip", "compressed"),
        ("/headers", "cannot be fetched"),
        ("/gone", "(status 404)"),
    ):
        result = await asyncio.wait_for(fetch(site.url(path)), 5)
        assert result.is_error, path
        assert words in result.text, path


async def test_a_page_without_end_is_cut_and_a_long_one_is_kept_in_a_file(site: Site, tmp_path: Path) -> None:
    site.pages["/long"] = html("word " * 20_000, kind="text/plain")
    site.pages["/endless"] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n" + b"x" * (4 * 2**20)
    chunked = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    site.pages["/chunked"] = chunked + b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    fetch = site.web(tmp_path)
    long = await fetch(site.url("/long"))
    assert len(long.text) < 21_000
    (kept,) = tmp_path.glob("page-*.md")
    assert str(kept) in long.text
    assert kept.read_text().count("word") == 20_000
    await fetch(site.url("/endless"))
    (endless,) = set(tmp_path.glob("page-*.md")) - {kept}
    assert endless.stat().st_size < web.MAX_BYTES + 200
    assert "longer than 2 MiB" in endless.read_text()[-200:]
    assert (await fetch(site.url("/chunked"))).text.endswith("abcde")


def test_pages_become_text_with_their_structure() -> None:
    page = """<html><head><title>A  page</title><style>h1{}</style></head><body><nav></nav><h2>One <b>two</b></h2>
    <p>Text with <code>code</code>,<br>a <a href="../x">link</a> and <a href="javascript:x()">none</a>.</p>
    <ul><li>a<li>b<ul><li>c</li></ul></ul><ol><li>x</li><li>y</li></ol><pre>def f():
        pass</pre><script>alert("<p>")</script><img alt="a cat"><table><tr><td>1</td><td>2</td></tr></table>&lt;&amp;"""
    text = page_text(page, "https://example.org/a/b")
    assert text.startswith("A page\n\n## One two\n\nText with `code`,\na [link](https://example.org/x) and none.")
    assert "- a\n- b\n\n  - c\n" in text
    assert "1. x\n2. y\n" in text
    assert "```\ndef f():\n        pass\n```" in text
    assert "| 1 | 2" in text
    assert "[picture: a cat]" in text
    assert text.endswith("<&")
    assert "alert" not in text
    assert "h1{}" not in text


@pytest.mark.parametrize(
    "page",
    [
        *("<ul>" * 50_000, "<a href=x>" * 20_000, "<" * 200_000, "<!--" * 50_000, "&#" * 100_000, "<a " * 100_000),
        *("<a href=x>y" * 20_000 + "</a>" * 20_000, "<!x" * 100_000, "<?" * 100_000, "<script>" * 50_000),
        *("<a b='" * 50_000 + ">", "</" * 100_000, "<pre>" * 50_000, "<x " + "a=b " * 100_000 + ">"),
    ],
    ids=lambda page: page[:12],
)
async def test_a_page_made_to_hurt_is_read_in_reasonable_time(page: str) -> None:
    assert isinstance(await asyncio.wait_for(asyncio.to_thread(page_text, page, "https://e.org"), 10), str)


def test_the_definition_takes_what_models_send() -> None:
    assert violations(WEB_FETCH.input_schema, {"url": "https://e.org", "prompt": "what?"}) == []
