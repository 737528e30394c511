//! The environment that Lambda gives to a function.

use std::collections::BTreeMap;
use std::path::Path;

use crate::lambda::Config;
use crate::template::Function;

/// What an OS-only runtime has.
const PATH: &str = "/usr/local/bin:/usr/bin/:/bin:/opt/bin";

/// Every variable of a new instance but `AWS_LAMBDA_RUNTIME_API`: the template's, then Lambda's own, then the extra ones.
pub(super) fn of(
    function: &Function,
    config: &Config,
    region: &str,
    program: &Path,
) -> BTreeMap<String, String> {
    let credentials = (config.credentials)(&function.role_arn);
    let root = program.parent().unwrap_or(Path::new("/")).to_string_lossy().into_owned();
    let own = [
        ("PATH", PATH.to_owned()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("TZ", ":UTC".to_owned()),
        ("_HANDLER", "bootstrap".to_owned()),
        ("LAMBDA_TASK_ROOT", root),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mib.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{}", uuid::Uuid::new_v4().simple())),
        ("AWS_REGION", region.to_owned()),
        ("AWS_DEFAULT_REGION", region.to_owned()),
        ("AWS_ACCESS_KEY_ID", credentials.access_key_id),
        ("AWS_SECRET_ACCESS_KEY", credentials.secret_access_key),
        ("AWS_SESSION_TOKEN", credentials.session_token),
        ("AWS_ENDPOINT_URL", config.endpoint_url.clone()),
    ];
    let mut all = function.environment.clone();
    all.extend(own.into_iter().map(|(name, value)| (name.to_owned(), value)));
    all.extend(config.extra_environment.clone());
    all
}
