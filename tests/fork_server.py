"""Runs ``rlplay ...`` in processes of their own without importing everything anew: forks of one that has imported it.

``Commands.run`` is `subprocess.run` for ``python -m rlplay``: own folder, own standard streams, own exit status.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


class Commands:
    """A process that waits for commands; it is started by the first one."""

    def __init__(self) -> None:
        self.server: subprocess.Popen[str] | None = None

    def run(self, words: list[str], folder: Path, env: dict[str, str], timeout: float = 300):
        """Run ``rlplay words...`` in a folder, with this environment."""
        if self.server is None or self.server.poll() is not None:
            command = [sys.executable, __file__]
            pipe = subprocess.PIPE
            self.server = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=env)
        with tempfile.TemporaryDirectory() as streams:
            out, err = Path(streams) / "out", Path(streams) / "err"
            request = {"words": words, "folder": str(folder), "env": env, "out": str(out), "err": str(err)}
            assert self.server.stdin is not None
            assert self.server.stdout is not None
            self.server.stdin.write(json.dumps({**request, "timeout": timeout}) + "\n")
            self.server.stdin.flush()
            status = int(self.server.stdout.readline())
            texts = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        return subprocess.CompletedProcess(["rlplay", *words], status, *texts)

    def close(self) -> None:
        """End the process."""
        if self.server is not None:
            assert self.server.stdin is not None
            assert self.server.stdout is not None
            self.server.stdin.close()
            self.server.wait(30)
            self.server.stdout.close()


def serve() -> None:
    """Fork for each line of standard input."""
    import agents.sb3  # noqa: F401
    import rlplay.cli.train  # noqa: F401
    from rlplay import registry

    for agent_id in registry.agent_ids():
        registry.agent_class(agent_id)
    replies = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(request)
        replies.write(f"{os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}\n")
        replies.flush()


def _become(request: dict) -> None:
    """Be the command, in the child; never returns."""
    import signal

    signal.alarm(int(request["timeout"]))
    os.chdir(request["folder"])
    sys.path[0] = request["folder"]  # as with python -m
    os.environ.clear()
    os.environ.update(request["env"])
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, fd in ((0, nothing), *((n, os.open(request[name], os.O_WRONLY | os.O_CREAT)) for n, name in
                                       ((1, "out"), (2, "err")))):  # fmt: skip
        os.dup2(fd, number)
    sys.argv = ["rlplay", *request["words"]]
    status: object = 0
    try:
        from rlplay.cli import main

        status = main()
    except SystemExit as stop:
        status = stop.code
    except BaseException:
        import traceback

        traceback.print_exc()
        status = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status if isinstance(status, int) else 0 if status is None else 1)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))
    serve()
