"""Becomes JupyterLab. Its log goes to a file; the terminal gets one line when it answers, or why it did not start.

`python -m labs.lab_server LOG ADVICE OPTION…`, in place of the process that wants it (labs/launch.py): Ctrl-C, its question and
the exit code are JupyterLab's own. Does not choose the options, and brings up no cluster.
"""

import asyncio
import os
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

_LOG_LIMIT = 1_000_000  # bytes; a longer one is begun anew
_LAST_LINES = 15  # of the log, where JupyterLab does not start
_LIMIT = 60.0  # seconds that JupyterLab may take to answer once it is set up
_EVERY_ADDRESS = ("", "0.0.0.0", "::")


def ready_text(server: Any, advice: str) -> str:
    """What the terminal says when JupyterLab answers. server: its ServerApp. advice: with "{port}" for the port it has now."""
    lines = [advice.replace("{port}", str(server.port)), f"Ready: open this URL: {address(server)}"]
    return "\n".join(filter(None, lines))


def address(server: Any) -> str:
    """The URL that a browser opens; with the token, unless the learner gave one of their own, which Jupyter shows nowhere."""
    if server.custom_display_url or server.sock or server.ip not in _EVERY_ADDRESS:
        return str(server.public_url)
    return str(server.local_url)


def failure_text(code: object, log: Path, start: int) -> str:
    """What the terminal says when JupyterLab did not start. start: where its words begin in the log."""
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode("utf-8", "replace").splitlines()
    end = "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])
    return f"JupyterLab did not start (exit code {code}). Its log, {log}, ends with:\n{end}"


def main(arguments: Sequence[str]) -> int:
    """JupyterLab's exit code."""
    log, advice, options = Path(arguments[0]), arguments[1], list(arguments[2:])
    terminal, start = _to_log(log)
    answers = False

    async def say_ready() -> None:
        nonlocal answers
        server = ServerApp.instance()
        answers = await _answers(server)
        if answers:
            print(ready_text(server, advice), flush=True)
        else:
            print(f"JupyterLab does not answer after {_LIMIT:.0f} s. Its log: {log}", file=terminal)

    # jsonschema builds a grammar of IRIs where this package is there, which takes longer than all else of the start. It is
    # for a format that no schema of Jupyter has.
    sys.modules["rfc3987_syntax"] = None  # type: ignore[assignment]
    code: object = 0
    try:
        from jupyter_server.serverapp import ServerApp
        from jupyterlab.labapp import LabApp
        from tornado.ioloop import IOLoop

        IOLoop.current().add_callback(say_ready)  # the loop runs once all is set up
        LabApp.launch_instance(options)
    except SystemExit as stop:
        code = stop.code or 0
    except Exception:
        traceback.print_exc()
        code = 1
    if code and not answers:
        print(failure_text(code, log, start), file=terminal)
    return code if isinstance(code, int) else 1


async def _answers(server: Any) -> bool:
    """Waits until the server answers, with whatever it is; False where it does not in time. A Unix socket is not asked."""
    from tornado.httpclient import AsyncHTTPClient, HTTPError

    host = "127.0.0.1" if server.ip in _EVERY_ADDRESS else f"[{server.ip}]" if ":" in server.ip else server.ip
    url = f"{'https' if server.certfile else 'http'}://{host}:{server.port}{server.base_url}api"
    end = time.monotonic() + _LIMIT
    while not server.sock and time.monotonic() < end:
        try:
            await AsyncHTTPClient().fetch(url, validate_cert=False)
            return True
        except HTTPError as error:
            if error.code != 599:  # tornado's own, for no answer
                return True
        except OSError:  # it does not listen yet
            await asyncio.sleep(0.01)
    return bool(server.sock)


def _to_log(log: Path) -> tuple[Any, int]:
    """Lets stderr, ours and that of all we start, go to the log. Returns what stderr was, and the log's size before."""
    terminal = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    with log.open("ab") as file:  # two JupyterLabs may write it
        if file.tell() > _LOG_LIMIT:
            file.truncate(0)
        os.dup2(file.fileno(), 2)
        return terminal, os.fstat(2).st_size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
