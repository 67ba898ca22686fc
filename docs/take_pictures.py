"""Take the README's pictures of the pages anew: `python docs/take_pictures.py runs.db`, of a dashboard on that store.

Each page is shown as somebody who chose these runs sees it, 1280 pixels wide; with 128 colours a picture takes a
quarter of the bytes.
"""

import argparse
import io
import sys
from pathlib import Path
from urllib.parse import urlencode

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

from gradscope.serve import served
from gradscope.store import open_store, read

sys.path.append(str(Path(__file__).parents[1] / "tests/browser"))
from chromium import CHROMIUM, FLAGS

FOLDER = Path(__file__).parent / "pictures"
PORT = 8800
SIZE: ViewportSize = {"width": 1280, "height": 860}
COLOURS = 128
SETTLED = '[data-testid="stApp"]:is([data-test-script-state="notRunning"])'


def main() -> None:
    options = _options()
    if CHROMIUM is None:
        sys.exit("no Chromium on the PATH (chromium, chromium-browser or google-chrome)")
    store = open_store(options.store)
    shown = {run.id: f"{run.id} {run.name}" for run in read.runs(store)}
    with served(options.store, PORT) as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for wanted in options.page or sorted(path.stem for path in FOLDER.glob("*.png")):
            name, _, ids = wanted.partition(":")
            chosen = [shown[int(i)] for i in ids.split(",") if i]
            window = browser.new_context(viewport=SIZE, color_scheme="dark" if options.dark else "light")
            _take(window.new_page(), url, name, chosen, options.folder)
            window.close()
        browser.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("store")
    parser.add_argument(
        "page", nargs="*", help="address of a page, and runs to choose: gradient_decay:1,2,3 (all pictures)"
    )
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--dark", action="store_true")
    return parser.parse_args()


def _take(page: Page, url: str, name: str, runs: list[str], folder: Path) -> None:
    address = "" if name == "runs" else name
    page.goto(f"{url}/{address}?{urlencode({'runs': runs}, doseq=True)}")
    page.wait_for_selector("h1", timeout=60_000)
    page.wait_for_selector(SETTLED, timeout=60_000)
    page.wait_for_timeout(2_500)  # charts draw themselves after the server is done
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    folder.mkdir(parents=True, exist_ok=True)
    picture.save(folder / f"{name}.png", optimize=True)
    print(f"{name}: {(folder / f'{name}.png').stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
