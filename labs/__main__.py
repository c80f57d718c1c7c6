"""The command line: `python -m labs doctor | up | status | env | reset | down | lab | prepare | progress`.

Does not do any of it by itself: says what it does, and shows an error as its text, without a traceback.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from io import TextIOWrapper
from typing import Any, NoReturn, TextIO

from labs import home
from labs.errors import LabError

COMMANDS = {
    "doctor": "what the course needs here, what there is, and what to do about the rest",
    "up": "make the cluster, or mend it where that is needed",
    "status": "what is there now (exit code 1 where the cluster is not up)",
    "env": 'settings for a shell: eval "$(python -m labs env)"',
    "reset": "remove what the lessons left on the cluster; the cluster stays",
    "down": "end the cluster",
    "lab": "open the course in JupyterLab; what follows goes to JupyterLab",
    "prepare": "fetch beforehand all that a class needs, and prove it by a start",
    "progress": "what you predicted and mended so far; --export FILE writes it to a file that you may hand in",
}

class Parser(argparse.ArgumentParser):
    """argparse's, whose words may stay unread, too: not every Python 3.11's own takes that well."""

    def print_help(self, file: Any = None) -> None:
        """Help, on stdout."""
        _print(self.format_help().rstrip(), file or sys.stdout)

    def error(self, message: str) -> NoReturn:
        """What is wrong with the command line, on stderr; exit code 2."""
        _print(f"{self.format_usage()}{self.prog}: error: {message}", sys.stderr)
        raise SystemExit(2)


SOON = ("doctor", "status", "env", "reset")  # end within 10 s where nobody answers
SILENCE = 4.0  # seconds that they wait for an API server or a container engine; two may be silent


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. 0: done; 1: a LabError, its text on stderr; 2: usage; 130: Ctrl-C."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    width = max(map(len, COMMANDS))
    parser = Parser(
        prog="python -m labs",
        usage="python -m labs COMMAND",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="commands:\n" + "\n".join(f"  {name:{width}}  {does}" for name, does in COMMANDS.items()),
    )
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    passed_on = words[1:] if words[:1] == ["lab"] else []
    parser.add_argument("--export", metavar="FILE", help=argparse.SUPPRESS)
    given = parser.parse_args(words[:1] if passed_on else words)
    if given.export is not None and given.command != "progress":
        parser.error("--export goes with progress")
    try:
        return _run(given.command, passed_on, given.export)
    except LabError as error:
        _print(str(error), sys.stderr)
        return 1
    except KeyboardInterrupt:
        _print("\nStopped.", sys.stderr)
        return 130


def _run(command: str, passed_on: Sequence[str], export: str | None) -> int:
    """Each command imports what it needs, so that none waits for the others' libraries."""
    ways: dict[str, Callable[[], int]] = {
        "doctor": _doctor,
        "up": _up,
        "status": _status,
        "env": _env,
        "reset": _reset,
        "down": _down,
        "lab": lambda: _lab(passed_on),
        "prepare": _prepare,
        "progress": lambda: _progress(export),
    }
    if command not in SOON:
        return ways[command]()
    from labs.waiting import impatient

    with impatient(SILENCE):
        return ways[command]()


def _say(line: str) -> None:
    """A line of stdout, at once."""
    _print(line, sys.stdout)


def _print(text: str, stream: TextIO) -> None:
    """Where nobody reads it any more (`labs up | head -1`), what is under way goes on, in silence. LabError on a full disk."""
    try:
        print(text, file=stream, flush=True)
    except BrokenPipeError:
        _silence(stream)
    except OSError as error:
        _silence(stream)
        raise LabError("The output cannot be written.", str(error), home.advice(error, "Send it elsewhere")) from error


def _silence(stream: TextIO) -> None:
    """What is still to be written goes nowhere: what has failed already, too, which Python would try again at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def _doctor() -> int:
    from labs import doctor

    findings = doctor.judge(doctor.gather())
    _say(doctor.report(findings))
    return 1 if doctor.stops(findings) else 0


def _up() -> int:
    from labs import providers

    choice = providers.choose()
    _say(f"The cluster: {choice} ({choice.why}).")
    cluster = providers.up(_say)
    _say(f"The cluster {cluster.name} is up. `python -m labs down` ends it.")
    return 0


def _status() -> int:
    from labs import providers

    try:
        _say(providers.status())
    except LabError as error:
        _say(str(error))
        return 1
    return 0


def _env() -> int:
    from labs import launch, providers

    cluster = providers.connect()
    _say(launch.shell_lines(launch.environment_of(cluster)))
    _say(f"# {_namespace_words(cluster.namespace)}")
    return 0


def _namespace_words(namespace: str | None) -> str:
    if namespace:
        return f"All lessons work in namespace {namespace}: kubectl -n {namespace} get pod"
    return "Each lesson works in a namespace of its own name, as in: kubectl -n target-port get pod"


def _reset() -> int:
    from labs import deploy, providers

    deploy.reset_all(providers.connect(), _say)
    return 0


def _down() -> int:
    from labs import providers

    providers.down(_say)
    _say("What `up` made is gone. `python -m labs up` makes it anew.")
    return 0


def _lab(passed_on: Sequence[str]) -> int:
    from labs import launch

    launch.lab(passed_on, _say)
    return 0


def _prepare() -> int:
    from labs import prepare

    prepare.prepare(_say)
    return 0


def _progress(export: str | None) -> int:
    from labs import progress

    if export is None:
        _say(progress.summary())
    else:
        _say(f"Written to {progress.export(export)}; nothing was sent anywhere.")
    return 0


def program() -> NoReturn:
    """`main` as a process, wherever its output goes: a terminal without our arrows, a pipe that nobody reads, a full disk."""
    streams = [stream for stream in (sys.stdout, sys.stderr) if isinstance(stream, TextIOWrapper)]  # None where it is closed
    for stream in streams:
        stream.reconfigure(errors="backslashreplace")
    try:
        sys.exit(main())
    finally:
        for stream in streams:
            try:
                stream.flush()
            except OSError:
                _silence(stream)


if __name__ == "__main__":
    program()
