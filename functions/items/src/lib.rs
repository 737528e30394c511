//! `/v1/collections`: the tenant's items, over REST.

mod batch;
mod single;
mod view;

use std::sync::Arc;

use http::Method;
use insula_gateway::{
    Error,
    rest::{Ask, Endpoint, Run, Takes, run, run_parts},
    serve_rest,
};
use insula_tenancy::{Effect, Feature, Problem};
use insula_tools::Collections;

const COLLECTIONS: &str = "collections";
const COLLECTION: &str = "collections/{collection}";
const ITEMS: &str = "collections/{collection}/items";
const ITEM: &str = "collections/{collection}/items/{id}";
const BATCH_GET: &str = "collections/{collection}/batch-get";
const BATCH_WRITE: &str = "collections/{collection}/batch-write";
const TRANSACTION: &str = "collections/{collection}/transaction";

const READ: &[&str] = &["items:read"];
const WRITE: &[&str] = &["items:write"];

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
    let shared = || Arc::clone(&collections);
    let (all, read, list, get) = (shared(), shared(), shared(), shared());
    let (create, replace, patch, delete) = (shared(), shared(), shared(), shared());
    let (batch_get, batch_write, transaction) = (shared(), shared(), shared());
    vec![
        reads(
            COLLECTIONS,
            "collections_list",
            run(move |_scope, _ask| single::describe_all(Arc::clone(&all))),
        ),
        reads(COLLECTION, "collections_read", run(move |_scope, ask| single::describe(read.clone(), ask))),
        Endpoint {
            query: &["limit", "cursor", "order", "equals", "direction"],
            ..reads(ITEMS, "items_list", run(move |scope, ask| single::list(list.clone(), scope, ask)))
        },
        reads(ITEM, "items_get", run(move |scope, ask| single::get(get.clone(), scope, ask))),
        writes(
            (Method::POST, ITEMS),
            "items_create",
            run(move |scope, ask| single::create(create.clone(), scope, ask)),
        ),
        writes(
            (Method::PUT, ITEM),
            "items_replace",
            run(move |scope, ask| single::replace(replace.clone(), scope, ask)),
        ),
        writes(
            (Method::PATCH, ITEM),
            "items_patch",
            run(move |scope, ask| single::patch(patch.clone(), scope, ask)),
        ),
        Endpoint {
            takes: Takes::Nothing,
            ..writes(
                (Method::DELETE, ITEM),
                "items_delete",
                run(move |scope, ask| single::delete(delete.clone(), scope, ask)),
            )
        },
        Endpoint {
            method: Method::POST,
            takes: Takes::Json,
            ..reads(
                BATCH_GET,
                "items_batch_get",
                run(move |scope, ask| batch::get(batch_get.clone(), scope, ask)),
            )
        },
        writes(
            (Method::POST, BATCH_WRITE),
            "items_batch_write",
            run_parts(move |admission, ask| batch::write(batch_write.clone(), admission, ask)),
        ),
        writes(
            (Method::POST, TRANSACTION),
            "items_transaction",
            run(move |scope, ask| batch::transact(transaction.clone(), scope, ask)),
        ),
    ]
}

fn reads(path: &'static str, action: &'static str, run: Run) -> Endpoint {
    Endpoint {
        method: Method::GET,
        path,
        query: &[],
        takes: Takes::Nothing,
        scopes: READ,
        feature: Some(Feature::ApiAccess),
        action,
        effect: Effect::Read,
        run,
    }
}

fn writes((method, path): (Method, &'static str), action: &'static str, run: Run) -> Endpoint {
    Endpoint {
        method,
        path,
        query: &[],
        takes: Takes::Json,
        scopes: WRITE,
        feature: Some(Feature::ApiAccess),
        action,
        effect: Effect::Write,
        run,
    }
}

/// The id that the path names.
fn id(ask: &Ask) -> Result<insula_tenancy::ItemId, Problem> {
    Ok(ask.parameter("id")?.parse::<insula_tenancy::ItemId>()?)
}
