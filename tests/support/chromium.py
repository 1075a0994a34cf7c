"""A headless Chromium that a test drives as a person would."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self, TypeVar

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver import Chrome, ChromeOptions, ChromeService
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.directories.processes import program

WAIT_S = 30.0
T = TypeVar("T")


class Chromium:
    """One browser with a profile of its own. It takes any certificate: whom to trust is not what it is for."""

    def __init__(self) -> None:
        options = ChromeOptions()
        options.binary_location = program("chromium")
        options.set_capability("acceptInsecureCerts", True)
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        for flag in (
            "headless",
            "no-sandbox",  # there is no other where tests run as root
            "disable-gpu",
            "disable-quic",
            "disable-dev-shm-usage",
            "no-first-run",
            "disable-background-networking",
            "disable-component-update",
            "disable-sync",
            f"user-data-dir={self._profile}",
        ):
            options.add_argument(f"--{flag}")
        self.driver = Chrome(options, ChromeService(program("chromedriver")))
        self.driver.set_page_load_timeout(WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)

    @property
    def address(self) -> str:
        """What the address bar says."""
        return self.driver.current_url

    @property
    def text(self) -> str:
        """What the page says."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def open(self, address: str) -> None:
        """Type an address."""
        self.driver.get(address)

    def shown(self, selector: str) -> None:
        """Wait for an element."""
        self._until(lambda: self._found(selector), selector)

    def gone(self, selector: str) -> None:
        """Wait until there is no such element."""
        self._until(lambda: not self.driver.find_elements(By.CSS_SELECTOR, selector), f"the end of {selector}")

    def text_of(self, selector: str) -> str:
        """Wait for an element and give what it says."""
        return self._until(lambda: self._found(selector).text, selector)

    def click(self, selector: str) -> None:
        """Click on an element."""
        self._do(lambda: self._found(selector).click(), selector)

    def submit(self, selector: str) -> None:
        """Press the button of a form."""
        self.click(f"{selector} button")

    def click_link(self, words: str) -> None:
        """Click on a link or button that says this."""
        path = f"//a[contains(., '{words}')] | //button[contains(., '{words}')]"
        self._do(lambda: self.driver.find_element(By.XPATH, path).click(), words)

    def type(self, selector: str, text: str, *, enter: bool = False) -> None:
        """Type into a field, and press Enter if so said."""

        def fill() -> None:
            field = self._found(selector)
            field.clear()
            field.send_keys(text, *([Keys.ENTER] if enter else []))

        self._do(fill, selector)

    def arrives(self, address: str) -> None:
        """Wait until the address bar begins with this."""
        self._until(lambda: self.address.startswith(address), address)

    def says(self, words: str) -> None:
        """Wait until the page says this."""
        self._until(lambda: words in self.text, words)

    def _found(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def _do(self, act: Callable[[], None], what: str) -> None:
        """Do something to an element of the page; once more if the page was left meanwhile."""

        def done() -> bool:
            act()
            return True

        self._until(done, what)

    def _until(self, found: Callable[[], T], what: str) -> T:
        gone = [StaleElementReferenceException, NoSuchElementException]  # of a page that was just left
        waited = WebDriverWait(self.driver, WAIT_S, poll_frequency=0.05, ignored_exceptions=gone)
        try:
            return waited.until(lambda _: found())
        except Exception as error:
            message = f"waited in vain for {what!r} at {self.address}:\n{self.text[:2000]}"
            raise AssertionError(message) from error


@pytest.fixture
def browser() -> Iterator[Chromium]:
    """A browser that has been nowhere."""
    with Chromium() as one:
        yield one
