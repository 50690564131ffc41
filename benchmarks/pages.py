"""Pages of the documentation have their figures from the last runs.

    python -m benchmarks.pages      writes them anew, after a benchmark was run

What is between two such comments is written; `made` is how, and the others are tables:

    <!-- figures: peer/made -->
    <!-- end of figures -->
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks import results

ROOT = Path(__file__).parent.parent
BETWEEN = re.compile(r"<!-- figures: (\w+)/(\w+) -->\n(.*?)<!-- end of figures -->", re.S)


def pages() -> list[Path]:
    """Those with figures of a run."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [
        one
        for one in found
        if "_build" not in one.parts and BETWEEN.search(one.read_text(encoding="utf-8"))
    ]


def with_figures(text: str) -> str:
    """A page with the figures of the last runs."""

    def written(found: re.Match[str]) -> str:
        name, what, _ = found.groups()
        if not (results.HERE / f"{name}.json").exists():
            return found[0]  # it was not run yet
        result = results.load(name)
        is_made = what == "made"
        inside = results.sentence(result.made) if is_made else results.table(result.tables[what])
        return f"<!-- figures: {name}/{what} -->\n{inside}\n<!-- end of figures -->"

    return BETWEEN.sub(written, text)


def main() -> None:
    """Write all of them."""
    for page in pages():
        text = page.read_text(encoding="utf-8")
        if (new := with_figures(text)) != text:
            page.write_text(new, encoding="utf-8")
            print(f"written: {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
