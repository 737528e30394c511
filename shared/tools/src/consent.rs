//! The question before what a user has is lost: every tool that is declared destructive asks it, and by this alone.

use insula_mcp::{Answer, Ask, ClientCapability, Elicited, Exchange, Structured};
use insula_tenancy::{ConfirmDeletes, ItemId, Problem, TenantScope};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::ToolError;

/// The name of the question.
const CONFIRM: &str = "confirm";

/// What is to be done to an item that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Deed {
    Delete,
    Replace,
}

/// What is to be lost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loss<'a> {
    pub(crate) deed: Deed,
    /// What one of its collection is called.
    pub(crate) kind: &'a str,
    pub(crate) id: &'a ItemId,
}

/// What the user says to the question.
#[derive(Debug, Deserialize, JsonSchema)]
struct Confirmation {
    /// Whether it is to be done.
    confirm: bool,
}

impl Loss<'_> {
    fn question(&self) -> String {
        let Self { deed, kind, id } = self;
        match deed {
            Deed::Delete => format!("Delete the {kind} {id} for good?"),
            Deed::Replace => format!("Replace the {kind} {id}? What it says now is lost."),
        }
    }

    const fn done(&self) -> &'static str {
        match self.deed {
            Deed::Delete => "deleted",
            Deed::Replace => "replaced",
        }
    }
}

/// Does it, once the user has confirmed it or nobody has to be asked. What is confirmed is the version that the user was
/// asked about: `version` finds it, and `act` must refuse any other.
///
/// # Errors
/// [`Problem::Forbidden`] where the client can't ask and the settings want it, or where the user says no; those of `version`
/// and `act`.
pub(crate) async fn ask_first<T>(
    (scope, exchange): (&TenantScope, &Exchange),
    loss: Loss<'_>,
    version: impl AsyncFnOnce() -> Result<u64, ToolError>,
    act: impl AsyncFnOnce(Option<u64>) -> Result<T, ToolError>,
) -> Result<Answer<Structured<T>>, ToolError> {
    if !exchange.supports(ClientCapability::Elicitation) {
        if scope.settings().await?.tools.confirm_deletes == ConfirmDeletes::Allow {
            return Ok(Structured(act(None).await?).into());
        }
        let done = loss.done();
        let detail = format!(
            "this app can't ask you to confirm, and nothing is {done} unconfirmed: have it {done} where you can \
             confirm it, or over the REST API; an admin of the workspace can allow it in its settings, with \
             tools.confirm_deletes"
        );
        return Err(Problem::Forbidden { detail }.into());
    }
    let seen: Option<u64> = exchange.state().and_then(|state| state.parse().ok());
    match (seen, exchange.elicited::<Confirmation>(CONFIRM)) {
        (Some(seen), Some(Elicited::Accepted(Confirmation { confirm: true }))) => {
            Ok(Structured(act(Some(seen)).await?).into())
        }
        (Some(_), Some(_)) => {
            let detail = format!("the {} was not {}, since that was not confirmed", loss.kind, loss.done());
            Err(Problem::Forbidden { detail }.into())
        }
        _ => {
            let found = version().await?;
            let ask = Ask::default().elicit::<Confirmation>(CONFIRM, loss.question());
            Ok(Answer::Ask(ask.remember(found.to_string())))
        }
    }
}
