//! The tenant's images: kept as items under its own prefix, counted as storage, and erased with it.
//!
//! Each is a document. One more, the directory, has their names, types and sizes: it bounds how many there are, and is what a
//! listing reads. All are written in the one transaction of the call.

use std::{collections::BTreeMap, fmt, str::FromStr};

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer, de::DeserializeOwned};

use super::{OnShelf, TenantScope, shelf::check_seen};
use crate::{
    Problem,
    key::{ItemId, Shelf},
    record::{Prepared, Raw},
};

/// Assets of one tenant.
pub const ASSETS_MAX: usize = 20;
/// Bytes of one asset. An item has at most 400 KB, of which base64 leaves three quarters.
pub const ASSET_BYTES_MAX: usize = 256 * 1024;
/// The directory's own id, which is no asset's name.
const DIRECTORY: &str = "DIRECTORY";
const KIND: &str = "asset";

/// Names an asset. Grammar: 1 to 64 of `a-z 0-9 - _`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AssetName(ItemId);

/// What an asset may be. SVG is not among them: it is a program as much as an image, and would run at the tenant's own
/// address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ImageType {
    /// PNG.
    #[serde(rename = "image/png")]
    Png,
    /// JPEG.
    #[serde(rename = "image/jpeg")]
    Jpeg,
    /// WebP.
    #[serde(rename = "image/webp")]
    Webp,
}

/// An asset without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetEntry {
    /// Its name.
    pub name: AssetName,
    /// What it is.
    pub image_type: ImageType,
    /// How many bytes it has.
    pub bytes: usize,
    /// Counts its contents. No version of a name is ever that of two, also where the asset was deleted between them.
    pub version: u64,
    /// When it was put, RFC 3339 in UTC.
    pub updated: String,
}

/// An asset that was put.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssetPut {
    /// It, without its bytes.
    pub entry: AssetEntry,
    /// Whether there was none of its name.
    pub is_new: bool,
}

/// An asset. Its `Debug` shows nothing of the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Asset {
    /// What it is.
    pub image_type: ImageType,
    /// That of its entry.
    pub version: u64,
    /// The image.
    pub bytes: Bytes,
}

#[derive(Debug, Default, Clone, Serialize, Deserialize)]
struct Directory {
    assets: BTreeMap<String, Listed>,
    /// The highest version of any asset that was deleted: a new one begins above it, so that a version that was seen is never
    /// that of other contents.
    #[serde(default)]
    ended: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Listed {
    image_type: ImageType,
    bytes: usize,
    version: u64,
    updated: String,
}

#[derive(Serialize, Deserialize)]
struct Document {
    image_type: ImageType,
    version: u64,
    base64: String,
}

impl ImageType {
    /// Every type.
    pub const ALL: [Self; 3] = [Self::Png, Self::Jpeg, Self::Webp];

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Jpeg => "image/jpeg",
            Self::Webp => "image/webp",
        }
    }

    /// What these bytes begin like. Source: WHATWG, "MIME Sniffing", § 6.1.
    fn of(bytes: &[u8]) -> Option<Self> {
        match bytes {
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Some(Self::Png),
            [0xff, 0xd8, 0xff, ..] => Some(Self::Jpeg),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', b'V', b'P', ..] => Some(Self::Webp),
            _ => None,
        }
    }
}

impl AssetName {
    /// The text of the name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for AssetName {
    type Err = AssetNameError;

    fn from_str(text: &str) -> Result<Self, AssetNameError> {
        let wrong = AssetNameError { bytes: text.len() };
        let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
        text.parse().ok().filter(|_| lower).map(Self).ok_or(wrong)
    }
}

impl fmt::Display for AssetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for AssetName {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self.as_str())
    }
}

/// A text that is no name of an asset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AssetNameError {
    bytes: usize,
}

impl fmt::Display for AssetNameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an asset's name has 1 to 64 of a-z, 0-9, - and _; this has {} bytes", self.bytes)
    }
}

impl std::error::Error for AssetNameError {}

impl From<AssetNameError> for Problem {
    fn from(err: AssetNameError) -> Self {
        Self::Invalid { detail: format!("name: {err}") }
    }
}

impl TenantScope {
    /// The assets in the order of their names, without their bytes.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn list_assets(&self) -> Result<Vec<AssetEntry>, Problem> {
        let directory: Directory = read_directory(self.assets().find(&directory_id()?).await?.as_ref())?;
        let entry = |(name, listed): (String, Listed)| {
            let name =
                name.parse().map_err(|err: AssetNameError| Problem::internal("listing assets", err))?;
            Ok(listed.entry(name))
        };
        directory.assets.into_iter().map(entry).collect()
    }

    /// An asset.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none.
    pub async fn asset(&self, name: &AssetName) -> Result<Asset, Problem> {
        let Document { image_type, version, base64 } = self.assets().get(&name.0).await?.typed()?.value;
        let bytes = STANDARD.decode(&base64).map_err(|err| Problem::internal("reading an asset", err))?;
        Ok(Asset { image_type, version, bytes: bytes.into() })
    }

    /// Stages an asset, over the version that was seen if one was.
    ///
    /// # Errors
    /// [`Problem::Invalid`] for bytes that are not of the type, and for one more than 20 assets; [`Problem::TooLarge`]
    /// over 256 KiB; [`Problem::Conflict`] when another version is there.
    pub async fn put_asset(
        &self,
        name: &AssetName,
        image_type: ImageType,
        bytes: &[u8],
        seen: Option<u64>,
    ) -> Result<AssetPut, Problem> {
        check_image(image_type, bytes)?;
        let (found, mut directory) = self.rely_on_assets().await?;
        let before = directory.assets.get(name.as_str()).map(|listed| listed.version);
        check_seen(KIND, seen, before)?;
        if before.is_none() && directory.assets.len() >= ASSETS_MAX {
            let detail = format!("assets: {} of at most {ASSETS_MAX}", directory.assets.len());
            return Err(Problem::Invalid { detail });
        }
        let version = before.unwrap_or(directory.ended).saturating_add(1);
        let document = Document { image_type, version, base64: STANDARD.encode(bytes) };
        let old = self.assets().find(&name.0).await?;
        let raw = self.assets().put(name.0.clone(), old.as_ref(), Prepared::of(&document)?)?;
        let listed = Listed { image_type, bytes: bytes.len(), version, updated: raw.updated };
        directory.assets.insert(name.to_string(), listed.clone());
        self.stage_assets(found.as_ref(), &directory)?;
        Ok(AssetPut { entry: listed.entry(name.clone()), is_new: before.is_none() })
    }

    /// Stages the end of an asset, of the version that was seen if one was.
    ///
    /// # Errors
    /// [`Problem::NotFound`] when this tenant has none; [`Problem::Conflict`] when another version is there, and for the
    /// logo that the settings name.
    pub async fn delete_asset(&self, name: &AssetName, seen: Option<u64>) -> Result<(), Problem> {
        let (found, mut directory) = self.rely_on_assets().await?;
        let gone = directory.assets.remove(name.as_str()).ok_or(Problem::NotFound { kind: KIND })?;
        check_seen(KIND, seen, Some(gone.version))?;
        if self.rely_on_settings().await?.branding.logo.as_ref() == Some(name) {
            let detail = format!("the asset {name} is the logo in the settings; take it out of them first");
            return Err(Problem::Conflict { detail });
        }
        directory.ended = directory.ended.max(gone.version);
        self.assets().delete(&name.0, None).await?;
        self.stage_assets(found.as_ref(), &directory)
    }

    /// Whether there is an asset of this name when the call is committed.
    pub(super) async fn rely_on_asset(&self, name: &AssetName) -> Result<bool, Problem> {
        let (_, directory) = self.rely_on_assets().await?;
        Ok(directory.assets.contains_key(name.as_str()))
    }

    async fn rely_on_assets(&self) -> Result<(Option<Raw>, Directory), Problem> {
        let found = self.assets().rely(&directory_id()?).await?;
        let directory = read_directory(found.as_ref())?;
        Ok((found, directory))
    }

    fn stage_assets(&self, found: Option<&Raw>, directory: &Directory) -> Result<(), Problem> {
        self.assets().put(directory_id()?, found, Prepared::of(directory)?).map(drop)
    }

    fn assets(&self) -> OnShelf<'_> {
        OnShelf { room: &self.room, shelf: &Shelf::Assets, kind: KIND, indexes: &[] }
    }
}

impl Listed {
    fn entry(self, name: AssetName) -> AssetEntry {
        let Self { image_type, bytes, version, updated } = self;
        AssetEntry { name, image_type, bytes, version, updated }
    }
}

impl fmt::Debug for Asset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Asset").field("image_type", &self.image_type).finish_non_exhaustive()
    }
}

/// The id of a shelf's one directory.
pub(super) fn directory_id() -> Result<ItemId, Problem> {
    DIRECTORY.parse().map_err(|err| Problem::internal("naming the directory", err))
}

/// What a directory says; nothing, where there is none yet.
pub(super) fn read_directory<D: Default + DeserializeOwned>(raw: Option<&Raw>) -> Result<D, Problem> {
    raw.map_or_else(|| Ok(D::default()), |raw| Ok(raw.typed()?.value))
}

fn check_image(image_type: ImageType, bytes: &[u8]) -> Result<(), Problem> {
    if bytes.len() > ASSET_BYTES_MAX {
        return Err(Problem::TooLarge { what: KIND, bytes_max: ASSET_BYTES_MAX, bytes: bytes.len() });
    }
    let is_of = ImageType::of(bytes).map_or("none of them", ImageType::media_type);
    if is_of == image_type.media_type() {
        return Ok(());
    }
    let known = ImageType::ALL.map(ImageType::media_type).join(", ");
    let said = image_type.media_type();
    Err(Problem::Invalid {
        detail: format!("the asset is said to be {said}, and begins as {is_of}; of {known}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\nxx";
    const JPEG: &[u8] = b"\xff\xd8\xff\xe0xx";
    const WEBP: &[u8] = b"RIFF\x10\0\0\0WEBPVP8 ";

    #[test]
    fn an_image_is_what_its_first_bytes_say() {
        for (said, bytes) in [(ImageType::Png, PNG), (ImageType::Jpeg, JPEG), (ImageType::Webp, WEBP)] {
            for other in ImageType::ALL {
                assert_eq!(check_image(other, bytes).is_ok(), other == said, "{said:?} {other:?}");
            }
            assert!(check_image(said, &bytes[1..]).is_err());
        }
        for bytes in
            [&b""[..], b"<svg xmlns=\"http://www.w3.org/2000/svg\"/>", b"GIF89a", b"RIFF\x10\0\0\0WAVE"]
        {
            let refused = check_image(ImageType::Png, bytes).unwrap_err().to_string();
            assert_eq!(
                refused,
                "the asset is said to be image/png, and begins as none of them; of image/png, image/jpeg, image/webp"
            );
        }
    }

    #[test]
    fn an_asset_has_at_most_256_kib() {
        let of = |bytes: usize| [PNG, &vec![0; bytes - PNG.len()]].concat();
        assert!(check_image(ImageType::Png, &of(ASSET_BYTES_MAX)).is_ok());
        let over = check_image(ImageType::Png, &of(ASSET_BYTES_MAX + 1)).unwrap_err();
        assert_eq!(over.to_string(), "the asset has 262145 bytes, and at most 262144 are allowed");
        let base64 = STANDARD.encode(of(ASSET_BYTES_MAX));
        let largest = Document { image_type: ImageType::Webp, version: u64::MAX, base64 };
        assert!(serde_json::to_string(&largest).unwrap().len() < crate::RECORD_BYTES_MAX);
    }

    #[test]
    fn a_name_is_lower_case_and_never_the_directorys() {
        for name in ["logo", "logo-2", "_a", "2", &"a".repeat(64)] {
            assert_eq!(name.parse::<AssetName>().unwrap().as_str(), name);
        }
        for wrong in ["", "Logo", "logo.png", "../a", "a b", "é", DIRECTORY, &"a".repeat(65)] {
            assert!(wrong.parse::<AssetName>().is_err(), "{wrong}");
        }
    }
}
