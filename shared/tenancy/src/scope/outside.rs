//! What a tool does outside for its tenant. It can't be taken back, so it comes after the charge.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use serde::Serialize;

use super::TenantScope;
use crate::Problem;

impl TenantScope {
    /// Posts JSON to the URL that a secret of the tenant's holds, and gives back the body of a reply of success.
    ///
    /// It goes over https to a public address, once: no redirect is followed and nothing is tried again. It is for tools
    /// that are declared as `open_world`, whose calls are charged and recorded before they run.
    ///
    /// # Errors
    /// Those of [`TenantScope::secret`]; [`Problem::Outside`] for a URL that is not called, and for a server that does not
    /// answer with success within 3 s and 64 KiB; [`Problem::Internal`] in a call that is not charged yet.
    pub async fn call_webhook(&self, secret: &str, body: &impl Serialize) -> Result<Bytes, Problem> {
        const DOING: &str = "calling a webhook";
        if !self.room.staged().is_closed() {
            return Err(Problem::internal(DOING, "the tool is not declared as open_world"));
        }
        let json = serde_json::to_vec(body).map_err(|err| Problem::internal(DOING, err))?;
        let url = self.secret(secret).await?;
        let called = self.room.egress.post(&url, json).await;
        if called.as_ref().err().is_none_or(|err| err.was_sent()) {
            self.room.went_out.store(true, Ordering::Relaxed);
        }
        Ok(called?)
    }
}
