"""Pages in a real browser: Chromium of the system, driven by playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

DESKTOP = (1280, 900)
PHONE = (390, 844)
SECONDS = 20
CANNOT = "needs chromium and playwright"


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Skips the test where there is none."""
    path = shutil.which("chromium")
    if path is None:
        pytest.skip(CANNOT)
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        pytest.skip(CANNOT)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Seen:
    """A page that is looked at, and what it did that it must not: messages, errors, requests."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.set_default_timeout(SECONDS * 1000)
        self.page.on("console", lambda message: self.complaints.append(f"console: {message.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"error: {error}"))
        self.page.on("request", self._requested)

    def _requested(self, request: Any) -> None:
        if not (request.is_navigation_request() and request.url.startswith("file:")):
            self.complaints.append(f"request: {request.url}")

    def open(self, path: Path, where: str = "") -> Page:
        """The page, drawn; `where` is what stands behind the # of its address."""
        self.page.goto("about:blank")
        self.page.goto(f"{path.as_uri()}#{where}")
        self.page.wait_for_selector("[data-ready=yes]", state="attached")
        return self.page


@contextmanager
def seen(browser: Browser, size: tuple[int, int] = DESKTOP, scheme: Any = "light") -> Iterator[Seen]:
    """A window without a network. Fails at its end when the page complained or asked for something."""
    is_phone = size == PHONE
    context = browser.new_context(
        viewport={"width": size[0], "height": size[1]}, color_scheme=scheme, offline=True, has_touch=is_phone
    )
    try:
        found = Seen(context.new_page())
        yield found
        assert found.complaints == []
    finally:
        context.close()
