//! Events that `cargo lambda watch` makes. Their route is always `$default`, so the template is read off the path.

use std::borrow::Cow;

use insula_tenancy::EventKind;

use super::{Event, Refusal};

/// The variable that stands for the rest of a path, as the routes of the template name it.
const REST: &str = "proxy";

impl Event<'_> {
    /// Whether no API Gateway made this event: all of its own name their API, and it gives its `$default` route no
    /// variables. `cargo lambda watch` has no API, and says what the variables of the workspace's route stand for.
    pub(super) fn is_watched(&self) -> bool {
        let raw = &self.raw;
        self.kind == EventKind::V2
            && raw.request_context.api_id.is_none()
            && raw.route_key.as_ref().is_some_and(|key| key.0 == "$default")
    }

    /// The template that leads to this path: the path, with each variable in the place of what it stands for.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] for a variable that stands for nothing in the path.
    pub(super) fn watched_route(&self, path: &str) -> Result<String, Refusal> {
        let absent = || Refusal::Malformed("a path parameter is no part of the path");
        let variables = self.raw.path_parameters.iter().flat_map(|parameters| &parameters.0);
        let (mut words, mut rest) = (path, "");
        let mut named = Vec::new();
        for (name, value) in variables {
            if name == REST {
                words = path.strip_suffix(&*value.0).ok_or_else(absent)?;
                rest = "{proxy+}";
            } else {
                named.push((name, &*value.0));
            }
        }
        let mut segments: Vec<Cow<'_, str>> = words.split('/').map(Cow::Borrowed).collect();
        for (name, value) in named {
            let mut fitting = segments.iter_mut().filter(|segment| !segment.is_empty() && **segment == value);
            let segment = fitting.next().ok_or_else(absent)?;
            *segment = Cow::Owned(format!("{{{name}}}"));
        }
        Ok(segments.join("/") + rest)
    }
}
