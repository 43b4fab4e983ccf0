"""The dashboard in Debian's Chromium: drawn without an error, by keyboard, in any light.

Spoken to by the DevTools protocol. ``CORTEX_SCREENSHOT=docs/images/dashboard.png`` keeps a
picture of the promises for the docs.
"""

import base64
import itertools
import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import ClientConnection, connect

TOKEN = "0123456789abcdef0123456789abcdef"
GUEST = "fedcba9876543210fedcba9876543210"
VIEWS = (
    "overview", "promises", "traffic", "memory", "context", "ledger", "energy",
    "models", "events",
)  # fmt: skip
WAIT_SECONDS_MAX = 20.0
CONTRAST_MIN = 4.5
"""WCAG 2.2, 1.4.3: of text of usual size with what is behind it."""

CONTRAST = """
(() => {
  const light = (color) => {
    const parts = color.match(/[\\d.]+/g).slice(0, 3).map((part) => {
      const share = part / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
  };
  const behind = (node) => {
    for (let one = node; one; one = one.parentElement) {
      const color = getComputedStyle(one).backgroundColor;
      if (!color.endsWith(", 0)") && color !== "transparent") return color;
    }
    return "rgb(255, 255, 255)";
  };
  let least = 21;
  for (const node of document.querySelectorAll("h1,h2,h3,th,td,button,p,dt,dd,label")) {
    if (!node.innerText?.trim() || !node.offsetParent) continue;
    const pair = [light(getComputedStyle(node).color), light(behind(node))];
    least = Math.min(least, (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05));
  }
  return least;
})()
"""


class Page:
    """One tab; remembers what went wrong in it and what it asked for."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self.wrongs: list[str] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **parameters: object) -> dict[str, Any]:
        number = next(self._numbers)
        told = {"id": number, "method": method, "params": parameters}
        self._socket.send(json.dumps(told))
        while True:
            message = json.loads(self._socket.recv(timeout=WAIT_SECONDS_MAX))
            if message.get("id") == number:
                assert "error" not in message, (method, message)
                return dict(message["result"])
            self._heard(message["method"], message["params"])

    def _heard(self, method: str, told: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            self.wrongs.append(json.dumps(told["exceptionDetails"]))
        elif method == "Log.entryAdded" and told["entry"]["level"] == "error":
            self.wrongs.append(told["entry"]["text"])
        elif method == "Network.requestWillBeSent":
            self.asked.append(told["request"]["url"])

    def value(self, expression: str) -> Any:
        found = self.send(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not self.value(expression):
            assert time.monotonic() < deadline, (expression, self.wrongs)
            time.sleep(0.1)

    def press(self, key: str) -> None:
        text = {"text": "\r"} if key == "Enter" else {}
        code = {"Enter": 13, "Tab": 9}[key]
        for kind in ("keyDown", "keyUp"):
            self.send(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                **text,
            )

    def show(self, view: str) -> None:
        self.value(f"document.querySelector('[data-view={view}]').click()")
        self.until(f"!document.getElementById('{view}').hidden")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[str]:
    """Run Chromium; return where its DevTools listen."""
    profile = tmp_path / "profile"
    process = subprocess.Popen(
        [
            "chromium", "--headless=new", "--no-sandbox", "--disable-gpu",
            "--disable-dev-shm-usage", "--remote-debugging-port=0",
            f"--user-data-dir={profile}", "--window-size=1280,1000", "about:blank",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        told = profile / "DevToolsActivePort"
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        while not (told.exists() and told.read_text().strip()):
            assert time.monotonic() < deadline, "Chromium did not start"
            time.sleep(0.1)
        yield f"127.0.0.1:{told.read_text().split()[0]}"
    finally:
        process.terminate()
        process.wait(20)


@pytest.fixture
def page(browser: str) -> Iterator[Page]:
    made = httpx.put(f"http://{browser}/json/new?about:blank").json()
    with connect(made["webSocketDebuggerUrl"], max_size=None) as socket:
        yield Page(socket)


@pytest.fixture
def url(serve: Any) -> str:
    """A server that wants a token and has something to show."""
    guest = f"bob:{GUEST}:memory+context+state+performance:acme"
    server = serve(CORTEX_TOKENS=f"ann:{TOKEN}:*,{guest}")
    server.client.headers["Authorization"] = f"Bearer {TOKEN}"
    items = [
        {"content": f"<b>Note {n}</b>: the harbour opens at {n}.", "author": "Ann"}
        for n in range(12)
    ]
    server.client.post("/memory", json={"items": items}).raise_for_status()
    for number in range(20):
        asked = {"query": f"when does the harbour open, {number}"}
        server.client.post("/memory/search", json=asked).raise_for_status()
        server.client.post("/context", json=asked).raise_for_status()
    return str(server.url)


def test_the_dashboard_in_a_browser(url: str, page: Page) -> None:
    page.send("Page.navigate", url=url)
    # Without a token it shows nothing, and says why.
    page.until("!document.getElementById('problem')?.hidden")
    page.until("document.getElementById('problem')?.textContent.length > 0")
    assert page.value("document.querySelectorAll('#figures dd').length") == 0
    page.wrongs.clear()  # the refusals
    enter(page, TOKEN)
    page.until("document.querySelectorAll('#figures dd').length > 0")
    every_view_shows_something(page)
    a_keyboard_reaches_everything(page)
    a_screen_reader_finds_names(page)
    text_stands_out_in_any_light(page)
    assert page.wrongs == []
    assert {one for one in page.asked if one.startswith("http")}
    assert all(one.startswith((url, "data:", "about:")) for one in page.asked)
    keep_picture(page)


def enter(page: Page, token: str) -> None:
    page.value(
        "(() => { const field = document.getElementById('token');"
        f" field.value = '{token}'; field.dispatchEvent(new Event('change')); }})()"
    )


def test_of_others_a_tenant_sees_nothing(url: str, page: Page) -> None:
    page.send("Page.navigate", url=url)
    page.until("document.getElementById('problem')?.textContent.length > 0")
    enter(page, GUEST)
    page.until("!document.getElementById('nothing-stored').hidden")
    page.show("traffic")
    page.until("document.querySelectorAll('#routes tbody tr').length > 0")
    # Log lines and errors are of callers of all tenants.
    for kept in ("requests-part", "errors-part"):
        withheld = f"document.getElementById('{kept}').classList.contains('withheld')"
        page.until(withheld)
        assert (
            page.value(f"document.querySelector('#{kept} table').offsetParent") is None
        )
    assert page.value("document.querySelectorAll('#requests tbody tr').length") == 0
    page.show("models")
    page.until(
        "document.getElementById('models-parts').innerText.includes('inference')"
    )
    page.show("ledger")
    page.until("document.getElementById('ledger-part').innerText.includes('audit')")


def test_a_refused_token_hides_what_another_showed(url: str, page: Page) -> None:
    page.send("Page.navigate", url=url)
    page.until("document.getElementById('problem')?.textContent.length > 0")
    enter(page, TOKEN)
    page.until("document.querySelectorAll('#figures dd').length > 0")
    enter(page, "0" * len(TOKEN))
    page.until("document.body.classList.contains('locked')")
    assert page.value("document.getElementById('figures').offsetParent") is None
    assert "expired" in page.value("document.getElementById('problem').textContent")


def every_view_shows_something(page: Page) -> None:
    shown = {
        "overview": "#checks tbody tr",
        "promises": "#objectives tbody meter",
        "traffic": "#routes tbody tr",
        "ledger": "#entries tbody tr",
        "energy": "#energy-figures dd",
        "models": "#models-table tbody tr",
    }
    for view, selector in shown.items():
        page.show(view)
        page.until(f"document.querySelectorAll('{selector}').length > 0")
        page.until("document.getElementById('problem').hidden")
    page.show("memory")
    page.value("document.getElementById('query').value = 'harbour'")
    page.value("document.getElementById('search-form').requestSubmit()")
    page.until("document.querySelectorAll('#hits li').length > 0")
    # What is stored is shown as it is, and is no markup.
    assert page.value("document.querySelectorAll('#hits b').length") == 0
    assert page.value("document.getElementById('hits').innerText.includes('<b>')")
    page.show("context")
    page.value("document.getElementById('context-query').value = 'harbour'")
    page.value("document.getElementById('context-form').requestSubmit()")
    page.until("document.getElementById('context-text').textContent.length > 0")
    page.until("document.querySelectorAll('#token-bar span').length > 0")
    page.show("ledger")
    page.value("document.getElementById('verify').click()")
    page.until(
        "document.getElementById('verdict-ledger').textContent.includes('intact')"
    )
    page.show("events")
    page.until("document.getElementById('stream-state').textContent === 'live'")


def a_keyboard_reaches_everything(page: Page) -> None:
    page.show("overview")
    page.value("document.activeElement.blur()")
    page.value("document.body.tabIndex = -1, document.body.focus()")
    reached = set()
    for _ in range(40):
        page.press("Tab")
        focused = page.value(
            "document.activeElement.dataset.view || document.activeElement.id"
            " || document.activeElement.className"
        )
        reached.add(focused)
        if focused == "promises":
            page.press("Enter")
            page.until("!document.getElementById('promises').hidden")
            assert page.value("document.activeElement.id") == "main"
            page.value("document.querySelector('[data-view=promises]').focus()")
    assert {"skip", "token", *VIEWS} <= reached


def a_screen_reader_finds_names(page: Page) -> None:
    for view in VIEWS:
        page.show(view)
        tree = page.send("Accessibility.getFullAXTree")["nodes"]
        seen = [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in tree
            if not node["ignored"]
        ]
        roles = {role for role, _ in seen}
        assert {"banner", "main", "navigation", "heading"} <= roles, view
        named = {"button", "textbox", "combobox", "spinbutton", "meter", "table"}
        assert [one for one in seen if one[0] in named and not one[1]] == [], view


def text_stands_out_in_any_light(page: Page) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        feature = {"name": "prefers-color-scheme", "value": scheme}
        page.send("Emulation.setEmulatedMedia", features=[feature])
        grounds.add(page.value("getComputedStyle(document.body).backgroundColor"))
        for view in VIEWS:
            page.show(view)
            assert page.value(CONTRAST) >= CONTRAST_MIN, (scheme, view)
    assert len(grounds) == 2


def keep_picture(page: Page) -> None:
    feature = {"name": "prefers-color-scheme", "value": "light"}
    page.send("Emulation.setEmulatedMedia", features=[feature])
    page.show("promises")
    picture = base64.b64decode(page.send("Page.captureScreenshot")["data"])
    assert picture.startswith(b"\x89PNG")
    if wanted := os.environ.get("CORTEX_SCREENSHOT"):
        Path(wanted).write_bytes(picture)
