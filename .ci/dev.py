"""`dev`, started and stopped, for the checks that ask it something."""

import contextlib
import pathlib
import signal
import socket
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent


@contextlib.contextmanager
def started(command):
    """Runs a command line of `dev` until the block ends, as Ctrl-C ends it. Gives what reads up to a line that it says."""
    stack = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)

    def said(last):
        # A stack that never says it is ended, which ends the reading.
        late = threading.Timer(900, stack.kill)
        late.start()
        lines = []
        for line in stack.stdout:
            lines.append(line)
            if line == f"{last}\n":
                late.cancel()
                return "".join(lines)
        late.cancel()
        sys.exit(f"{command}: never said {last!r}\n{''.join(lines)}")

    try:
        yield said
    finally:
        stack.send_signal(signal.SIGINT)
        stack.wait()


@contextlib.contextmanager
def running(command):
    """Runs `dev` as `started` does. Gives what it said when it was ready."""
    with started(command) as said:
        yield said("ready")


def free_port():
    """A port that is free, and so are the next two: the identity provider's, and that of `cargo lambda watch`."""
    while True:
        with contextlib.ExitStack() as held, contextlib.suppress(OSError, OverflowError):
            gateway, *others = [held.enter_context(socket.socket()) for _ in range(3)]
            gateway.bind(("127.0.0.1", 0))
            port = gateway.getsockname()[1]
            for above, other in enumerate(others, 1):
                other.bind(("127.0.0.1", port + above))
            return port
