//! The two pages that a person sees: sign-in, and an error that can't be sent to a client.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper::StatusCode;
use hyper::header::{CONTENT_SECURITY_POLICY, HeaderValue, REFERRER_POLICY, X_FRAME_OPTIONS};

use super::authorize::Ask;
use super::options::User;
use super::reply::{self, Reply};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:32rem;margin:4rem auto;padding:0 1rem}\
    button{font:inherit;width:100%;padding:.6rem;margin:.3rem 0;cursor:pointer}code{overflow-wrap:anywhere}";

/// One form and one button a user, so that it works without scripts and by plain HTTP.
pub(super) fn sign_in(ask: &Ask, users: &[User], ticket: &str) -> Reply {
    let mut forms = String::new();
    for user in users {
        let label = format!("{} ({})", user.name, user.tenant);
        forms += &form(ticket, ("user", &user.key()), &label);
    }
    forms += &form(ticket, ("deny", "1"), "Cancel");
    let body = format!(
        "<h1>Sign in</h1><p><strong>{}</strong>, which answers at <code>{}</code>, asks for access to <code>{}</code> \
         with the scopes <code>{}</code>.</p><p>These are test users of this machine: there is no password.</p>{forms}",
        escape(&ask.client_name),
        escape(&ask.redirect_uri.origin()),
        escape(&ask.resource),
        escape(&ask.scopes.join(" ")),
    );
    page(StatusCode::OK, "Sign in", &body)
}

pub(super) fn error(status: StatusCode, why: &str) -> Reply {
    page(status, "Not possible", &format!("<h1>Not possible</h1><p>{}</p>", escape(why)))
}

fn form(ticket: &str, (name, value): (&str, &str), label: &str) -> String {
    format!(
        "<form method=\"post\" action=\"/authorize\"><input type=\"hidden\" name=\"ticket\" value=\"{}\">\
         <button type=\"submit\" name=\"{}\" value=\"{}\">{}</button></form>",
        escape(ticket),
        escape(name),
        escape(value),
        escape(label),
    )
}

fn page(status: StatusCode, title: &str, body: &str) -> Reply {
    let html = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head><body>{body}</body></html>"
    );
    let mut reply = reply::with_type(status, "text/html; charset=utf-8", html.into_bytes());
    let style = STANDARD.encode(digest(&SHA256, STYLE.as_bytes()));
    // No `form-action`: browsers apply it to the redirect that follows, and that one leads to the client.
    let policy =
        format!("default-src 'none'; style-src 'sha256-{style}'; frame-ancestors 'none'; base-uri 'none'");
    if let Ok(policy) = HeaderValue::try_from(policy) {
        reply.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
    }
    reply::set(&mut reply, X_FRAME_OPTIONS, "DENY");
    // With `no-referrer` a browser would send `Origin: null` with the form, and the form would be refused.
    reply::set(&mut reply, REFERRER_POLICY, "same-origin");
    reply
}

/// For text and for attribute values in double quotes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            _ => escaped.push(char),
        }
    }
    escaped
}
