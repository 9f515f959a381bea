"""A headless Chromium that shows a folder, served on 127.0.0.1, and what the page of `fold demo` hears in it."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fold.demo.server import server_of

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
ALWAYS = ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio")
RECOGNISE = """
const [names, depth, done] = arguments;
(async () => {
  const { Recogniser } = await import("./recogniser.js");
  const { decode } = await import("./sound.js");
  const recogniser = await Recogniser.open();
  await recogniser.use("fp32");
  const texts = [];
  for (const name of names) {
    const samples = await decode(await (await fetch(name)).arrayBuffer(), recogniser.sampleRate);
    texts.push((await recogniser.transcribe(samples, depth)).text);
  }
  return texts;
})().then(done, (error) => done(String(error)));
"""


@contextmanager
def chromium(*options: str, width: int = 390, height: int = 1400) -> Iterator[Any]:
    """Selenium's driver of a browser with a window of a phone's width.

    Raises ImportError or FileNotFoundError where Selenium or Chromium is missing.
    """
    from selenium import webdriver

    if not CHROMIUM or not DRIVER:
        raise FileNotFoundError("no Chromium with its driver (apt-get install chromium chromium-driver)")
    wanted = webdriver.ChromeOptions()
    wanted.binary_location = CHROMIUM
    for option in (*ALWAYS, f"--window-size={width},{height}", *options):
        wanted.add_argument(option)
    wanted.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    browser = webdriver.Chrome(options=wanted, service=webdriver.ChromeService(DRIVER))
    try:
        yield browser
    finally:
        browser.quit()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of a folder while it is served."""
    with server_of(folder, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()


def heard(browser: Any, names: Sequence[str], depth: int) -> list[str]:
    """Transcripts of files that lie beside the page, by its fp32 model. Raises RuntimeError if the page fails."""
    browser.set_script_timeout(60 + len(names))
    texts = browser.execute_async_script(RECOGNISE, names, depth)
    if not isinstance(texts, list):
        raise RuntimeError(texts)
    return texts
