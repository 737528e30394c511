"""The command line of MCP Inspector against a running `dev`; `.ci/clients` starts both."""

import json
import os
import pathlib
import pty
import re
import subprocess
import sys
import tempfile
import urllib.request

from sign_in import sign_in

ACME, GLOBEX, TOKEN = os.environ["ACME"], os.environ["GLOBEX"], os.environ["TOKEN"]
NODE = sys.argv[1]
INSPECTOR = pathlib.Path(os.environ["NODE_PATH"], "@modelcontextprotocol/inspector")
# How it is told of each era; it falls back to none.
ERAS = {"2025-11-25": "legacy", "2026-07-28": "modern"}
# Its exit code where a server wants another token, or one at all.
AUTH_REQUIRED = 3


def inspect(url, era, method, *options, user=None):
    """One run, in which `user`, if any, presses the button of the sign-in page: the exit code, the result or error."""
    command = [NODE, INSPECTOR / "clients/launcher/build/index.js", "--cli", "--transport", "http", "--server-url", url]
    command += ["--protocol-era", ERAS[era], "--method", method, "--format", "json", "--quiet"]
    command += ["--callback-url", "http://127.0.0.1:0/oauth/callback", *options]
    command += [] if user else ["--stored-auth-only"]
    with tempfile.TemporaryDirectory() as home, open(f"{home}/result", "w+") as result:
        # Nothing is kept for the next run, and no browser is opened.
        apart = {"HOME": home, "MCP_INSPECTOR_SECRET_STORE": "memory", "MCP_AUTO_OPEN_ENABLED": "false"}
        environment = {"PATH": os.environ["PATH"], **apart}
        # It asks nobody to sign in where it sees no terminal.
        keeper, terminal = pty.openpty()
        pipe = subprocess.PIPE
        run = subprocess.Popen(command, stdin=terminal, stdout=result, stderr=pipe, env=environment, text=True)
        try:
            said, pages = "", 0
            for line in run.stderr:
                said += line
                if page := re.match(r"Please navigate to: (\S+)", line):
                    pages += 1
                    urllib.request.urlopen(sign_in(page[1], user, ACME), timeout=30).close()
            code = run.wait()
            assert pages == (1 if user else 0), said
        finally:
            run.kill()
            os.close(keeper)
            os.close(terminal)
        result.seek(0)
        # An error is the last line, and has no lines of its own.
        answer = result.read() or said.splitlines()[-1]
    return code, json.loads(answer)


def uses_tools(era, *options, user=None):
    """Lists tools, makes a note and reads it."""

    def result(method, *more):
        code, answer = inspect(ACME, era, method, *options, *more, user=user)
        assert code == 0, answer
        return answer["result"]

    assert result("initialize")["protocolVersion"] == era
    names = [tool["name"] for tool in result("tools/list")["tools"]]
    assert "notes_create" in names and "notes_get" in names, names
    made = result("tools/call", "--tool-name", "notes_create", "--tool-arg", "title=Inspector", f"text={era}")
    note = made["structuredContent"]["id"]
    read = result("tools/call", "--tool-name", "notes_get", "--tool-arg", f"id={note}")
    assert read["structuredContent"]["text"] == era, read


def is_refused(url, era, *options, user=None):
    code, answer = inspect(url, era, "tools/list", *options, user=user)
    assert code == AUTH_REQUIRED and answer["error"]["code"] == "auth_required", answer


def main():
    version = json.loads((INSPECTOR / "package.json").read_text())["version"]
    for era in ERAS:

        def say(step):
            print(f"clients: Inspector {version}, {era}: {step}", flush=True)

        bearer = ["--header", f"Authorization: Bearer {TOKEN}"]
        uses_tools(era, *bearer)
        say("lists and calls tools with acme's token")
        is_refused(GLOBEX, era, *bearer)
        say("401 at globex with acme's token")
        is_refused(ACME, era)
        say("401 without a token")
        uses_tools(era, user="org-acme/alice")
        say("signs in by itself as acme's user, lists and calls tools")
        is_refused(ACME, era, user="org-globex/gloria")
        say("401 after it signed in as globex's user")


main()
