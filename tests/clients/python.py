"""The client of the Python SDK against a running `dev`; `.ci/clients` starts both."""

import asyncio
import base64
import contextlib
import importlib.metadata
import json
import os
import urllib.parse

import httpx2
from mcp import Client
from mcp.client.auth import AuthorizationCodeResult, OAuthClientProvider
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import OAuthClientMetadata

from sign_in import sign_in

ACME, GLOBEX, TOKEN = os.environ["ACME"], os.environ["GLOBEX"], os.environ["TOKEN"]
# How the client is told of each era. By `auto` it asks for the newer one and would fall back to the older.
MODES = {"2025-11-25": "legacy", "2026-07-28": "auto"}
MCP = urllib.parse.urlsplit(ACME).path
# What a client without a token has to find by itself; the sign-in page comes before the last.
WAY = [
    f"POST {MCP} 401",
    f"GET /.well-known/oauth-protected-resource{MCP} 200",
    "GET /.well-known/oauth-authorization-server 200",
    "POST /register 201",
    "POST /token 200",
]


class Memory:
    """What the SDK keeps of a sign-in."""

    tokens = client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


def signing_in(user, memory):
    """The SDK's own way through OAuth, with a person who presses the button of `user`."""
    answer = {}

    async def redirect(url):
        location = await asyncio.to_thread(sign_in, url, user, ACME)
        answer.update(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))

    async def callback():
        return AuthorizationCodeResult(code=answer["code"], state=answer["state"], iss=answer["iss"])

    metadata = OAuthClientMetadata(client_name="Python", redirect_uris=["http://127.0.0.1/callback"])
    return OAuthClientProvider(ACME, metadata, memory, redirect, callback)


@contextlib.asynccontextmanager
async def connected(url, era, trail, **identity):
    async def seen(response):
        trail.append(f"{response.request.method} {response.request.url.path} {response.status_code}")

    async with httpx2.AsyncClient(timeout=30, event_hooks={"response": [seen]}, **identity) as http:
        async with Client(streamable_http_client(url, http_client=http), mode=MODES[era]) as client:
            assert client.protocol_version == era, client.protocol_version
            yield client


async def uses_tools(era, **identity):
    """Lists tools, makes a note and reads it; the requests that it took."""
    trail = []
    async with connected(ACME, era, trail, **identity) as client:
        names = [tool.name for tool in (await client.list_tools()).tools]
        assert "notes_create" in names and "notes_get" in names, names
        made = await client.call_tool("notes_create", {"title": "Python", "text": era})
        assert not made.is_error, made
        read = await client.call_tool("notes_get", {"id": made.structured_content["id"]})
        assert read.structured_content["text"] == era, read
        missing = await client.call_tool("notes_get", {"id": "01m00000000000000000000000"})
        assert missing.is_error, missing
    return trail


async def is_refused(url, era, **identity):
    """Gets no further than to a 401; the requests that it took."""
    trail = []
    # What is raised differs from era to era; the status does not.
    with contextlib.suppress(Exception):
        async with connected(url, era, trail, **identity):
            pass
    asked = [step for step in trail if step.startswith(f"POST {urllib.parse.urlsplit(url).path} ")]
    assert asked and all(step.endswith(" 401") for step in asked), trail
    return trail


def went_the_way(trail, memory):
    assert trail[: len(WAY)] == WAY, trail
    claims = memory.tokens.access_token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
    assert claims["aud"] == ACME and claims["client_id"] == memory.client.client_id, claims


async def main():
    name = f"Python mcp {importlib.metadata.version('mcp')}"
    for era in MODES:

        def say(step):
            print(f"clients: {name}, {era}: {step}", flush=True)

        bearer = {"Authorization": f"Bearer {TOKEN}"}
        await uses_tools(era, headers=bearer)
        say("lists and calls tools with acme's token")
        await is_refused(GLOBEX, era, headers=bearer)
        say("401 at globex with acme's token")
        await is_refused(ACME, era)
        say("401 without a token")
        memory = Memory()
        trail = await uses_tools(era, auth=signing_in("org-acme/alice", memory))
        went_the_way(trail, memory)
        say("signs in by itself as acme's user, lists and calls tools")
        memory = Memory()
        trail = await is_refused(ACME, era, auth=signing_in("org-globex/gloria", memory))
        went_the_way(trail, memory)
        say("401 after it signed in as globex's user")


asyncio.run(main())
