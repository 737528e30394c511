//! The images of a tenant.

use insula_gateway::rest::{Answer, Ask, Body};
use insula_tenancy::{
    ASSET_BYTES_MAX, ASSETS_MAX, AssetEntry, AssetName, AssetPut, Feature, ImageType, Problem, TenantScope,
};
use serde::Serialize;

#[derive(Debug, Serialize)]
struct AssetsView {
    assets: Vec<AssetView>,
    /// How many there may be.
    limit: usize,
    /// How large each may be.
    bytes_max: usize,
}

/// An asset without its bytes.
#[derive(Debug, Serialize)]
pub(crate) struct AssetView {
    name: String,
    #[serde(rename = "type")]
    media_type: &'static str,
    bytes: usize,
    version: u64,
    updated: String,
}

impl From<AssetEntry> for AssetView {
    fn from(entry: AssetEntry) -> Self {
        let AssetEntry { name, image_type, bytes, version, updated } = entry;
        Self { name: name.to_string(), media_type: image_type.media_type(), bytes, version, updated }
    }
}

pub(crate) async fn list(scope: TenantScope, _ask: Ask) -> Result<Answer, Problem> {
    let assets = scope.list_assets().await?.into_iter().map(AssetView::from).collect();
    Answer::ok(&AssetsView { assets, limit: ASSETS_MAX, bytes_max: ASSET_BYTES_MAX })
}

pub(crate) async fn get(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    let asset = scope.asset(&name(&ask)?).await?;
    Ok(Answer::bytes(asset.image_type.media_type(), asset.bytes).version(asset.version))
}

/// What nobody without branding can show is not taken either.
pub(crate) async fn put(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    scope.demand(Feature::CustomBranding)?;
    let name = name(&ask)?;
    let Body::Bytes { media_type, bytes } = &ask.body else {
        return Err(Problem::internal("putting an asset", "the endpoint takes bytes"));
    };
    let known = ImageType::ALL.into_iter().find(|known| known.media_type() == *media_type);
    let image_type =
        known.ok_or_else(|| Problem::internal("putting an asset", "the endpoint takes images"))?;
    let AssetPut { entry, is_new } = scope.put_asset(&name, image_type, bytes, ask.if_match).await?;
    let version = entry.version;
    let view = AssetView::from(entry);
    let answer =
        if is_new { Answer::created(format!("config/assets/{name}"), &view)? } else { Answer::ok(&view)? };
    Ok(answer.version(version))
}

pub(crate) async fn delete(scope: TenantScope, ask: Ask) -> Result<Answer, Problem> {
    scope.delete_asset(&name(&ask)?, ask.if_match).await?;
    Ok(Answer::no_content())
}

fn name(ask: &Ask) -> Result<AssetName, Problem> {
    Ok(ask.parameter("name")?.parse::<AssetName>()?)
}
