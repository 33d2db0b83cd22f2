"""Writes the table of docs/settings.md again, from the settings themselves. Usage: python scripts/settings_page.py"""

from __future__ import annotations

from pathlib import Path

from tasker.cli.config_rows import markdown_table

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
HEAD = "## Every setting\n\n"


def main() -> None:
    """Puts the table in the place of what stands below its heading, the page's last."""
    before, head, _ = PAGE.read_text().partition(HEAD)
    PAGE.write_text(f"{before}{head}{markdown_table()}")


if __name__ == "__main__":
    main()
