"""A page for each verb of `bench`: usage, what it does, options; read from click."""

import inspect
from collections.abc import Iterator

import click

from bench.cli import group
from bench.zoo import escaped
from docsite.markdown import table

FOLDER = "reference/commands"


def pages() -> Iterator[tuple[str, str]]:
    """(place on the site, Markdown)."""
    context = click.Context(group, info_name="bench", terminal_width=100)
    verbs = {verb: group.get_command(context, verb) for verb in group.list_commands(context)}
    known = {verb: command for verb, command in verbs.items() if command is not None}
    rows = [(f"[`bench {verb}`]({verb}.md)", escaped(_first(command))) for verb, command in known.items()]
    yield (
        f"{FOLDER}/index.md",
        "\n\n".join(("# Commands", table(("command", "does"), rows), escaped(group.epilog or ""))) + "\n",
    )
    for verb, command in known.items():
        yield f"{FOLDER}/{verb}.md", _page(verb, command, click.Context(command, parent=context, info_name=verb))


def _first(command: click.Command) -> str:
    return _help(command).partition("\n")[0]


def _help(command: click.Command) -> str:
    return inspect.cleandoc(command.help or "")


def _page(verb: str, command: click.Command, context: click.Context) -> str:
    records = [found for option in command.get_params(context) if (found := option.get_help_record(context))]
    paragraphs = [escaped(" ".join(part.split("\n"))) for part in _help(command).split("\n\n")]
    usage = command.get_usage(context).removeprefix("Usage: ")
    options = table(("option", ""), ((f"`{names}`", escaped(about).replace("[", r"\[")) for names, about in records))
    return "\n\n".join((f"# bench {verb}", f"```text\n{usage}\n```", *paragraphs, "## Options", options)) + "\n"
