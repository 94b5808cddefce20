"""For mkdocstrings: a docstring is text, so what Markdown would take for markup is shown as it stands."""

from typing import Any

import griffe

from bench.zoo import escaped


class Text(griffe.Extension):
    """Escapes every docstring, but for what is indented: blocks, and what follows `Raises:` and the like."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Once, when the object has been read."""
        if obj.docstring is not None:
            obj.docstring.value = "\n\n".join(map(_shown, obj.docstring.value.split("\n\n")))


def _shown(paragraph: str) -> str:
    return paragraph if paragraph.startswith("    ") else escaped(paragraph)
