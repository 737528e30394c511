// The client of a TypeScript SDK, which the argument names, against a running `dev`; `.ci/clients` starts both.

import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";

const { ACME, GLOBEX, TOKEN, NODE_PATH } = process.env;
const SDK = process.argv[2];
const MCP = new URL(ACME).pathname;
// What a client without a token has to find by itself; the sign-in page comes before the last.
const WAY = [
  `POST ${MCP} 401`,
  `GET /.well-known/oauth-protected-resource${MCP} 200`,
  "GET /.well-known/oauth-authorization-server 200",
  "POST /register 201",
  "POST /token 200",
];

// Unlike `import`, this finds packages by NODE_PATH.
const require = createRequire(import.meta.url);
const isSplit = SDK === "@modelcontextprotocol/client";
const { Client } = require(isSplit ? SDK : `${SDK}/client/index.js`);
const { StreamableHTTPClientTransport } = require(isSplit ? SDK : `${SDK}/client/streamableHttp.js`);
const { version } = JSON.parse(readFileSync(join(NODE_PATH, SDK, "package.json")));
// How the client is told of each era. By `auto` it asks for the newer one and would fall back to the older; the SDK
// before it was split has but one.
const MODES = isSplit ? { "2025-11-25": "legacy", "2026-07-28": "auto" } : { "2025-11-25": "legacy" };

/** A person at the sign-in page, who presses the button of `user`: the address that the page then leads to. */
async function signIn(url, user) {
  assert.equal(url.searchParams.get("resource"), ACME);
  assert.equal(url.searchParams.get("code_challenge_method"), "S256");
  const page = await (await fetch(url)).text();
  const form = new RegExp(`name="ticket" value="([^"]+)"><button [^>]*value="${user}"`).exec(page);
  assert(form, `the page has no button for ${user}`);
  const body = new URLSearchParams({ ticket: form[1], user });
  const answer = await fetch(new URL("/authorize", url), { method: "POST", body, redirect: "manual" });
  assert.equal(answer.status, 303);
  return new URL(answer.headers.get("location")).searchParams;
}

/** What the SDK asks of a program that can sign in, kept in memory. */
class SignsIn {
  redirectUrl = "http://127.0.0.1/callback";
  clientMetadata = { client_name: "TypeScript", redirect_uris: [this.redirectUrl] };
  #state = randomUUID();

  constructor(user) {
    this.user = user;
  }
  state() {
    return this.#state;
  }
  clientInformation() {
    return this.client;
  }
  saveClientInformation(client) {
    this.client = client;
  }
  tokens() {
    return this.saved;
  }
  saveTokens(tokens) {
    this.saved = tokens;
  }
  saveCodeVerifier(verifier) {
    this.verifier = verifier;
  }
  codeVerifier() {
    return this.verifier;
  }
  saveDiscoveryState(found) {
    this.found = found;
  }
  discoveryState() {
    return this.found;
  }
  async redirectToAuthorization(url) {
    this.answer = await signIn(url, this.user);
    assert.equal(this.answer.get("state"), this.#state);
  }
}

/** A client that notes the requests it made in `trail`. */
async function connect(url, era, trail, identity) {
  const seen = async (input, init) => {
    const answer = await fetch(input, init);
    trail.push(`${init?.method ?? "GET"} ${new URL(input).pathname} ${answer.status}`);
    return answer;
  };
  const transport = new StreamableHTTPClientTransport(new URL(url), { fetch: seen, ...identity });
  const client = new Client({ name: "stock", version: "1.0.0" }, { versionNegotiation: { mode: MODES[era] } });
  try {
    await client.connect(transport);
  } catch (error) {
    const provider = identity.authProvider;
    if (!provider?.answer || provider.saved) {
      throw error;
    }
    // The SDK stops where a person has to sign in, and starts again with what came of it.
    await transport.finishAuth(provider.answer.get("code"), provider.answer.get("iss"));
    return connect(url, era, trail, identity);
  }
  assert.equal(transport.protocolVersion, era);
  return client;
}

/** Lists tools, makes a note and reads it; the requests that it took. */
async function usesTools(era, identity) {
  const trail = [];
  const client = await connect(ACME, era, trail, identity);
  const names = (await client.listTools()).tools.map((tool) => tool.name);
  assert(names.includes("notes_create") && names.includes("notes_get"), names.join());
  const call = (name, args) => client.callTool({ name, arguments: args });
  const made = await call("notes_create", { title: "TypeScript", text: era });
  assert(!made.isError, JSON.stringify(made));
  const read = await call("notes_get", { id: made.structuredContent.id });
  assert.equal(read.structuredContent.text, era);
  const missing = await call("notes_get", { id: "01m00000000000000000000000" });
  assert.equal(missing.isError, true);
  await client.close();
  return trail;
}

/** Gets no further than to a 401; the requests that it took. */
async function isRefused(url, era, identity) {
  const trail = [];
  await assert.rejects(connect(url, era, trail, identity));
  const asked = trail.filter((step) => step.startsWith(`POST ${new URL(url).pathname} `));
  assert(asked.length > 0 && asked.every((step) => step.endsWith(" 401")), trail.join());
  return trail;
}

function wentTheWay(trail, provider) {
  assert.deepEqual(trail.slice(0, WAY.length), WAY);
  const claims = JSON.parse(Buffer.from(provider.saved.access_token.split(".")[1], "base64url"));
  assert.equal(claims.aud, ACME);
  assert.equal(claims.client_id, provider.client.client_id);
}

for (const era of Object.keys(MODES)) {
  const say = (step) => console.log(`clients: TypeScript ${SDK} ${version}, ${era}: ${step}`);
  const bearer = { requestInit: { headers: { Authorization: `Bearer ${TOKEN}` } } };
  await usesTools(era, bearer);
  say("lists and calls tools with acme's token");
  await isRefused(GLOBEX, era, bearer);
  say("401 at globex with acme's token");
  await isRefused(ACME, era, {});
  say("401 without a token");
  const alice = new SignsIn("org-acme/alice");
  wentTheWay(await usesTools(era, { authProvider: alice }), alice);
  say("signs in by itself as acme's user, lists and calls tools");
  const gloria = new SignsIn("org-globex/gloria");
  wentTheWay(await isRefused(ACME, era, { authProvider: gloria }), gloria);
  say("401 after it signed in as globex's user");
}
