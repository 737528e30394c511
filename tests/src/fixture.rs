//! The names that the official conformance suite asks for, to be declared on any server: they are tools,
//! resources and prompts like any other, and no product code knows them.
//!
//! Source of the names: `@modelcontextprotocol/conformance` 0.2.0-alpha.12, scenario descriptions.

mod asking;
mod content;
mod reading;
mod schemas;

use insula_mcp::{Builder, ClientCapability, Hints, ToolSpec};

/// Declares all of them, so that a call of any needs `scopes`.
#[must_use]
pub fn declare<C, E>(builder: Builder<C, E>, scopes: &'static [&'static str]) -> Builder<C, E>
where
    C: Send + 'static,
    E: Send + 'static,
{
    let builder = content::declare(builder, scopes);
    let builder = asking::declare(builder, scopes);
    let builder = reading::declare(builder, scopes);
    schemas::declare(builder, scopes)
}

fn tool(name: &'static str, description: &'static str, scopes: &'static [&'static str]) -> ToolSpec {
    needing(name, description, scopes, &[])
}

fn needing(
    name: &'static str,
    description: &'static str,
    scopes: &'static [&'static str],
    needs: &'static [ClientCapability],
) -> ToolSpec {
    let hints = Hints { read_only: true, destructive: false, idempotent: true, open_world: false };
    ToolSpec { name, title: description, description, hints, scopes, needs, ..ToolSpec::default() }
}

/// One red pixel.
const PNG: &[u8] = &[
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00,
    0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00, 0x00, 0x90, 0x77, 0x53, 0xde, 0x00,
    0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x08, 0xd7, 0x63, 0xf8, 0xcf, 0xc0, 0x00, 0x00, 0x03, 0x01,
    0x01, 0x00, 0x18, 0xdd, 0x8d, 0xb0, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60,
    0x82,
];

/// A sound of no samples.
const WAV: &[u8] =
    b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00\x40\x1f\x00\x00\x80\x3e\x00\x00\
\x02\x00\x10\x00data\x00\x00\x00\x00";
