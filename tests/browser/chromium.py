"""How tests, benchmarks and the script that takes the pictures start Chromium."""

import shutil

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
"""Its path; None where there is none."""

FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    # the last list is the one that counts, so what Playwright would name stands here too, as far as it is of use
    "--disable-features=WebUIOmniboxPopup,WebUIOmniboxAimPopup,HttpsUpgrades,LensOverlay,MediaRouter,"
    "OptimizationHints,PaintHolding,PreconnectToSearch,NetworkTimeServiceQuerying,DestroyProfileOnBrowserClose",
]
"""No window, nothing asked of the network, and no pages of its own behind the address bar, as slow as ours."""
