//! `/v1/config`: what the tenant has set, and what is set for it.

mod assets;
mod domains;
mod export;
mod members;
mod settings;

use std::sync::Arc;

use http::Method;
use insula_gateway::{
    Error,
    rest::{Endpoint, Run, Takes, run, run_parts},
    serve_rest,
};
use insula_tenancy::{Effect, ImageType};
use insula_tools::Collections;

const CONFIG: &str = "config";
const PREVIEW: &str = "config/emails/{template}/preview";
const MEMBERS: &str = "config/members";
const MEMBER: &str = "config/members/{id}";
const ASSETS: &str = "config/assets";
const ASSET: &str = "config/assets/{name}";
const DOMAINS: &str = "config/domains";
const DOMAIN: &str = "config/domains/{domain}";
const VERIFY: &str = "config/domains/{domain}/verify";
const EXPORT: &str = "config/export";

const IMAGES: &[&str] =
    &[ImageType::Png.media_type(), ImageType::Jpeg.media_type(), ImageType::Webp.media_type()];

/// Starts the function and serves until Lambda ends it.
///
/// # Errors
/// A setting that is wrong, an endpoint without a role, or a registry that does not answer in init.
pub async fn serve() -> Result<(), Error> {
    serve_rest(|config| Ok(endpoints(Collections::read(config)?)), insula_tools::role_of).await
}

/// Every endpoint of the function.
#[must_use]
pub fn endpoints(collections: Collections) -> Vec<Endpoint> {
    let collections = Arc::new(collections);
    vec![
        reads(CONFIG, "config_read", run(settings::read)),
        writes((Method::PUT, CONFIG), "config_replace", run(settings::replace)),
        writes((Method::PATCH, CONFIG), "config_patch", run(settings::patch)),
        Endpoint {
            method: Method::POST,
            takes: Takes::Json,
            ..reads(PREVIEW, "config_preview", run(settings::preview))
        },
        Endpoint { query: &["limit", "cursor"], ..reads(MEMBERS, "members_list", run(members::list)) },
        bodiless((Method::DELETE, MEMBER), "members_remove", run(members::remove)),
        reads(ASSETS, "assets_list", run(assets::list)),
        reads(ASSET, "assets_get", run(assets::get)),
        Endpoint {
            takes: Takes::Bytes(IMAGES),
            ..writes((Method::PUT, ASSET), "assets_put", run(assets::put))
        },
        bodiless((Method::DELETE, ASSET), "assets_delete", run(assets::delete)),
        reads(DOMAINS, "domains_list", run(domains::list)),
        bodiless((Method::PUT, DOMAIN), "domains_claim", run(domains::claim)),
        bodiless((Method::POST, VERIFY), "domains_verify", run_parts(domains::verify)),
        bodiless((Method::DELETE, DOMAIN), "domains_release", run_parts(domains::release)),
        Endpoint {
            query: &["cursor"],
            ..reads(
                EXPORT,
                "config_export",
                run(move |scope, ask| export::page(Arc::clone(&collections), scope, ask)),
            )
        },
    ]
}

fn reads(path: &'static str, action: &'static str, run: Run) -> Endpoint {
    Endpoint {
        method: Method::GET,
        path,
        query: &[],
        takes: Takes::Nothing,
        scopes: &[],
        feature: None,
        action,
        effect: Effect::Read,
        run,
    }
}

fn writes((method, path): (Method, &'static str), action: &'static str, run: Run) -> Endpoint {
    Endpoint { method, takes: Takes::Json, effect: Effect::Write, ..reads(path, action, run) }
}

fn bodiless(line: (Method, &'static str), action: &'static str, run: Run) -> Endpoint {
    Endpoint { takes: Takes::Nothing, ..writes(line, action, run) }
}
