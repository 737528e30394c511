//! Which resources tokens are made for (RFC 8707).

use url::{Host, Url};

use super::Options;

/// Whether `text` is an absolute URI, in its one canonical spelling, of the gateway on this machine.
///
/// It becomes `aud` byte for byte, and whoever checks `aud` compares bytes: so a second spelling is refused.
pub(super) fn is_resource(text: &str, options: &Options) -> bool {
    let Ok(url) = Url::parse(text) else { return false };
    let Some(Host::Domain(host)) = url.host() else { return false };
    let is_canonical = url.as_str() == text || url.as_str().strip_suffix('/') == Some(text);
    let is_bare = url.username().is_empty() && url.password().is_none() && !text.contains(['?', '#']);
    let is_local = host == "localhost" || host.ends_with(".localhost") || options.domains.have(host);
    url.scheme() == "http"
        && is_local
        && url.port_or_known_default() == Some(options.gateway_port)
        && is_bare
        && is_canonical
}
