//! What an endpoint answers, as a reply and as it is kept for a repetition.

use std::fmt;

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use insula_tenancy::{Effect, Outcome, Problem};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::{Reply, check_reply};

/// What an endpoint answers. Its `Debug` shows nothing of the body.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    status: u16,
    body: Option<Box<RawValue>>,
    /// Instead of a body of JSON. No answer that is kept for a repetition has them.
    #[serde(skip)]
    bytes: Option<(&'static str, Bytes)>,
    version: Option<u64>,
    location: Option<String>,
    /// What ended parts of an operation that answers for the others. A part is kept for itself, never its whole.
    #[serde(skip)]
    problems: Vec<Problem>,
}

impl Answer {
    /// 200 with this body.
    ///
    /// # Errors
    /// [`Problem::Internal`] for a body that is none of JSON.
    pub fn ok(body: &impl Serialize) -> Result<Self, Problem> {
        let body = to_raw_value(body).map_err(|err| Problem::internal("writing a body", err))?;
        Ok(Self { body: Some(body), ..Self::of(200) })
    }

    /// 201 with this body, for what is now at this path below `/v1/`.
    ///
    /// # Errors
    /// As [`Answer::ok`].
    pub fn created(path: impl Into<String>, body: &impl Serialize) -> Result<Self, Problem> {
        Ok(Self { status: 201, location: Some(path.into()), ..Self::ok(body)? })
    }

    /// 204.
    #[must_use]
    pub const fn no_content() -> Self {
        Self::of(204)
    }

    /// 200 with these bytes, for an endpoint that only reads: a repetition reads them again.
    #[must_use]
    pub fn bytes(media_type: &'static str, bytes: Bytes) -> Self {
        Self { bytes: Some((media_type, bytes)), ..Self::of(200) }
    }

    const fn of(status: u16) -> Self {
        Self { status, body: None, bytes: None, version: None, location: None, problems: Vec::new() }
    }

    /// The answer with what ended parts of the operation: the caller reads of it in the body, and the operator is told of each
    /// as of one that ends an operation.
    #[must_use]
    pub fn with_problems(self, problems: Vec<Problem>) -> Self {
        Self { problems, ..self }
    }

    pub(super) fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The word for how the operation ended: `ok`, or the code of what ended the first part that failed.
    pub(super) fn code(&self) -> &'static str {
        self.problems.first().map_or("ok", Problem::code)
    }

    /// The answer with its version, which the client gets as `ETag` and gives back as `If-Match`.
    #[must_use]
    pub fn version(self, version: u64) -> Self {
        Self { version: Some(version), ..self }
    }

    /// The reply, at an address with this tenant in its path. Nothing but what the route says of a path goes into it.
    pub(super) fn reply(self, path_tenant: Option<&str>) -> Reply {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut reply = match (self.body, self.bytes) {
            (_, Some((media_type, bytes))) => Reply::bytes(status, media_type, bytes),
            (Some(body), None) => Reply::json(status, body.get().to_owned()),
            (None, None) => Reply::empty(status),
        };
        let slug = path_tenant.map_or_else(String::new, |slug| format!("/{slug}"));
        let headers = [
            (header::ETAG, self.version.map(|version| format!("\"{version}\""))),
            (header::LOCATION, self.location.map(|path| format!("{slug}/v1/{path}"))),
        ];
        for (name, value) in headers {
            if let Some(value) = value.and_then(|text| HeaderValue::try_from(text).ok()) {
                reply = reply.with(name, value);
            }
        }
        reply
    }
}

/// An answer with the text that is kept of it.
pub(super) struct Kept {
    pub(super) answer: Answer,
    text: String,
}

impl Kept {
    /// What is only read is not kept: a repetition reads again. An answer that can't be sent is none.
    pub(super) fn make(effect: Effect, answer: Answer) -> Result<Self, Problem> {
        answer.body.as_ref().map_or(Ok(()), |body| check_reply(body.get()))?;
        let text = match effect {
            Effect::Read | Effect::Uncharged => String::new(),
            Effect::Write | Effect::Outside if answer.bytes.is_some() => {
                return Err(Problem::internal("keeping an answer", "it has bytes, which are not kept"));
            }
            Effect::Write | Effect::Outside => {
                serde_json::to_string(&answer).map_err(|err| Problem::internal("keeping an answer", err))?
            }
        };
        Ok(Self { answer, text })
    }

    pub(super) fn outcome(&self) -> Outcome<'_> {
        Outcome::Done { result: &self.text }
    }

    pub(super) fn from_stored(text: String) -> Option<Self> {
        Some(Self { answer: serde_json::from_str(&text).ok()?, text })
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}
