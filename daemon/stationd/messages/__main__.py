"""C{python -m stationd.messages}: print the page C{docs/messages.md}."""

from __future__ import annotations

from stationd.messages.reference import page

if __name__ == "__main__":
    print(page(), end="")
