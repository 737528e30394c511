"""`dev`, started and stopped, for the checks that ask it something."""

import contextlib
import pathlib
import signal
import socket
import subprocess
import sys
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
READY = "ready\n"


@contextlib.contextmanager
def running(command):
    """Runs a command line of `dev` until the block ends, as Ctrl-C ends it. Gives what it said when it was ready."""
    stack = subprocess.Popen(["bash", "-c", f"exec {command}"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    # A stack that never gets ready is ended, which ends the reading.
    watch = threading.Timer(900, stack.kill)
    watch.start()
    try:
        said = []
        for line in stack.stdout:
            said.append(line)
            if line == READY:
                break
        watch.cancel()
        if said[-1:] != [READY]:
            sys.exit(f"{command}: not ready\n{''.join(said)}")
        yield "".join(said)
    finally:
        watch.cancel()
        stack.send_signal(signal.SIGINT)
        stack.wait()


def free_port():
    """A port that is free, and so is the next, which the identity provider takes."""
    while True:
        with socket.socket() as gateway, socket.socket() as provider:
            gateway.bind(("127.0.0.1", 0))
            port = gateway.getsockname()[1]
            with contextlib.suppress(OSError, OverflowError):
                provider.bind(("127.0.0.1", port + 1))
                return port
