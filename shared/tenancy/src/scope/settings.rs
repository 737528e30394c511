//! The tenant's settings: one document, kept whole and replaced by version.

use serde::Serialize;
use serde_json::Value;

use super::{OnShelf, TenantScope, shelf::other_version};
use crate::{
    Feature, Problem,
    key::{ItemId, Shelf},
    record::{Prepared, Raw},
    settings::{Branding, Faults, Integrations, KIND, Settings},
};

/// The document's own id.
const CURRENT: &str = "CURRENT";

/// The settings as they are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoredSettings {
    /// Counts their changes; 0 while nobody has set any.
    pub version: u64,
    /// The settings.
    pub settings: Settings,
}

impl TenantScope {
    /// What the tenant's admins have set. What of its branding counts, [`TenantScope::branding`] says.
    ///
    /// # Errors
    /// [`Problem::Unavailable`] when the store does not answer.
    pub async fn settings(&self) -> Result<Settings, Problem> {
        let found = self.on_settings().find(&current_id()?).await?;
        Ok(document(found.as_ref())?.map(|document| Settings::of_stored(&document)).unwrap_or_default())
    }

    /// How the tenant shows itself, as far as its features let it.
    ///
    /// # Errors
    /// As [`TenantScope::settings`].
    pub async fn branding(&self) -> Result<Branding, Problem> {
        Ok(self.branding_of(self.settings().await?))
    }

    /// What of these settings' branding counts here.
    #[must_use]
    pub fn branding_of(&self, settings: Settings) -> Branding {
        settings.branding.under(&self.room.plan)
    }

    /// The settings with their version, as far as they are known here.
    ///
    /// # Errors
    /// As [`TenantScope::settings`].
    pub async fn stored_settings(&self, known: &Integrations) -> Result<StoredSettings, Problem> {
        stored(self.on_settings().find(&current_id()?).await?.as_ref(), known)
    }

    /// Stages a new document over the version that was seen, 0 where there was none.
    ///
    /// # Errors
    /// [`Problem::Faulty`] with everything that is wrong with it; [`Problem::TooLarge`] over 64 KiB;
    /// [`Problem::Conflict`] when another version is there; [`Problem::FeatureOff`] for another branding without
    /// [`Feature::CustomBranding`], unless it is none.
    pub async fn replace_settings(
        &self,
        seen: u64,
        document: &Value,
        known: &Integrations,
    ) -> Result<StoredSettings, Problem> {
        let mut faults = Faults::default();
        let settings = Settings::gather(document, known, &mut faults)?;
        if let Some(logo) = &settings.branding.logo
            && !self.rely_on_asset(logo).await?
        {
            faults.note("branding.logo", format!("there is no asset {logo}; put it first"));
        }
        faults.check(KIND)?;
        let found = self.on_settings().find(&current_id()?).await?;
        let before = stored(found.as_ref(), known)?;
        if before.version != seen {
            return Err(other_version(KIND, before.version, seen));
        }
        if settings.branding != before.settings.branding && !settings.branding.is_empty() {
            self.demand(Feature::CustomBranding)?;
        }
        let raw = self.on_settings().put(current_id()?, found.as_ref(), Prepared::of(&settings)?)?;
        Ok(StoredSettings { version: raw.version, settings })
    }

    /// Stages a change of the document over the version that was seen, by RFC 7396. Where none was seen the change is for
    /// whatever is there: where that changes meanwhile, the call is run again.
    ///
    /// # Errors
    /// As [`TenantScope::replace_settings`].
    pub async fn patch_settings(
        &self,
        seen: Option<u64>,
        patch: &Value,
        known: &Integrations,
    ) -> Result<StoredSettings, Problem> {
        let before = match seen {
            Some(_) => self.stored_settings(known).await?,
            None => self.rely_on_stored_settings(known).await?,
        };
        let document = serde_json::to_value(&before.settings);
        let document = document.map_err(|err| Problem::internal("patching the settings", err))?;
        self.replace_settings(seen.unwrap_or(before.version), &insula_json::merged(document, patch), known)
            .await
    }

    async fn rely_on_stored_settings(&self, known: &Integrations) -> Result<StoredSettings, Problem> {
        stored(self.on_settings().rely(&current_id()?).await?.as_ref(), known)
    }

    /// The settings, as a condition of the commit.
    pub(super) async fn rely_on_settings(&self) -> Result<Settings, Problem> {
        let found = self.on_settings().rely(&current_id()?).await?;
        Ok(document(found.as_ref())?.map(|document| Settings::of_stored(&document)).unwrap_or_default())
    }

    fn on_settings(&self) -> OnShelf<'_> {
        OnShelf { room: &self.room, shelf: &Shelf::Settings, kind: KIND, indexes: &[] }
    }
}

/// The id of the document.
pub(crate) fn current_id() -> Result<ItemId, Problem> {
    CURRENT.parse().map_err(|err| Problem::internal("naming the settings", err))
}

fn document(raw: Option<&Raw>) -> Result<Option<Value>, Problem> {
    raw.map(|raw| Ok(raw.typed()?.value)).transpose()
}

fn stored(raw: Option<&Raw>, known: &Integrations) -> Result<StoredSettings, Problem> {
    let settings = document(raw)?.map(|document| Settings::knowing(&document, known));
    Ok(StoredSettings { version: raw.map_or(0, |raw| raw.version), settings: settings.unwrap_or_default() })
}
