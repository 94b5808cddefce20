"""The command `bench`: every file of `bench/commands/` is a verb, imported when it is used."""

import errno
import functools
import importlib
import pkgutil
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

import click

from bench import commands
from bench.catalogue import first_line
from bench.output import harmless
from bench.signals import ending_on
from converters.errors import BenchError, EnvironmentFault, UsageError, closest

DEFECT = 1  # a fault of ours, or a run in which something failed
INTERRUPTED = 130
_MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EMFILE}


def _remember_debug(context: click.Context, _: click.Parameter, on: bool) -> None:
    if on:
        context.find_root().ensure_object(dict)["debug"] = True


# Stands before and after the verb, so that adding it to the end of a failed line works.
DEBUG = click.Option(
    ["--debug"], is_flag=True, expose_value=False, callback=_remember_debug, help="Show the traceback of an error."
)


class Verbs(click.Group):
    """Commands by file name: `bench/commands/check.py` is `bench check`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every verb, found without importing one."""
        return sorted(module.name.replace("_", "-") for module in pkgutil.iter_modules(commands.__path__))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The verb's `command`, imported now; None if there is no such verb."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command: click.Command = importlib.import_module(f"bench.commands.{cmd_name.replace('-', '_')}").command
        command.name = cmd_name
        if DEBUG not in command.params:
            command.params.append(DEBUG)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, but an unknown verb names the nearest one and the whole list."""
        verbs = self.list_commands(ctx)
        if args[0] not in verbs and not args[0].startswith("-"):
            near = closest(args[0], verbs)
            hint = f" Did you mean '{near}'?" if near else ""
            raise UsageError(f"no command '{args[0]}'.{hint}", mend=f"commands: {', '.join(verbs)}  (bench --help)")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line a verb: the first line of its file, read and not run, so that `--help` stays quick."""
        with formatter.section("Commands"):
            folder = Path(next(iter(commands.__path__)))
            lines = [(verb, first_line(folder / f"{verb.replace('-', '_')}.py")) for verb in self.list_commands(ctx)]
            formatter.write_dl(lines)


@click.group(
    cls=Verbs,
    params=[DEBUG],
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "BENCH"},
    epilog="Exit codes: 0 done, 1 something failed, 2 usage, 3 bad data, 4 machine, 130 interrupted (repeat to go on).",
)
@click.version_option(package_name="frugalseg", prog_name="bench")
def group() -> None:
    """Label-frugal medical image segmentation: convert, train, predict, score, rank."""


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run one command line and leave with the exit code of its outcome."""
    state: dict[str, Any] = {"words": sys.argv[1:] if arguments is None else arguments}
    try:
        with ending_on(signal.SIGTERM):
            result = group.main(arguments, prog_name="bench", standalone_mode=False, obj=state)
        code = result if isinstance(result, int) else 0
    except BaseException as error:
        if isinstance(error, SystemExit):
            raise
        if state.get("debug"):
            traceback.print_exc()
        message, code = outcome(error)
        click.echo(harmless(message), err=True)
    sys.exit(code)


@functools.singledispatch
def outcome(error: BaseException) -> tuple[str, int]:
    """What to tell a person, and the exit code."""
    where = "".join(f"\n  in    {note}" for note in getattr(error, "__notes__", ()))
    return f"{type(error).__name__}: {error}{where}\n  mend  repeat with --debug to see where", DEFECT


@outcome.register
def _(error: BenchError) -> tuple[str, int]:
    return f"{type(error).__name__}: {error}", error.exit_code


@outcome.register
def _(error: click.ClickException) -> tuple[str, int]:
    context = getattr(error, "ctx", None)
    hint = f"\n  mend  {context.command_path} --help" if context else ""
    return f"{error.format_message()}{hint}", UsageError.exit_code if error.exit_code == 2 else DEFECT


@outcome.register(click.Abort)
@outcome.register(KeyboardInterrupt)
def _(error: BaseException) -> tuple[str, int]:
    return "interrupted; repeat the same command to go on", INTERRUPTED


@outcome.register
def _(error: OSError) -> tuple[str, int]:
    code = EnvironmentFault.exit_code if error.errno in _MACHINE_ERRORS else DEFECT
    places = [error.filename] if error.filename else getattr(error, "__notes__", ())
    where = "".join(f"\n  in    {place}" for place in places)
    return f"{type(error).__name__}: {error.strerror or error}{where}", code


@outcome.register
def _(error: ModuleNotFoundError) -> tuple[str, int]:
    return f"the package '{error.name}' is not installed\n  mend  bench doctor", EnvironmentFault.exit_code


if __name__ == "__main__":
    main()
