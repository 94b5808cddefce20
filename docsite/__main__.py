"""`python -m docsite`: pictures, then the site, strictly, then its links; the site lies in build/docs/site."""

import os
import subprocess
import sys

from converters.errors import BenchError
from docsite import links, pictures
from docsite.hooks import MADE
from docsite.markdown import ROOT

SITE = ROOT / "build" / "docs" / "site"


def main() -> int:
    """Exit code: 1 where anything was warned of, or a link leads nowhere."""
    try:
        pictures.make(MADE)
    except BenchError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    line = [sys.executable, "-m", "mkdocs", "build", "--strict", "--clean", "--site-dir", str(SITE)]
    # The theme's notice about its own future is no fault of a page.
    own = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    if subprocess.run(line, cwd=ROOT, env=own, check=False).returncode:
        return 1
    wrong = links.problems(SITE)
    pages = sum(1 for _ in SITE.rglob("*.html"))
    sys.stderr.write("".join(f"{problem}\n" for problem in wrong) or f"{pages} pages, every link resolves: {SITE}\n")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
