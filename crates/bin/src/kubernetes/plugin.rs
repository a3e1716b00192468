//! The errors of a kubeconfig's exec plugin, without its variables and its output: both hold secrets.

use ecr_refresher_core::shorten;
use kube::client::AuthError;
use tower::BoxError;

/// The failure of the plugin of this name; `None` for any other error, which has no secret.
pub(super) fn failure(name: &str, error: &AuthError) -> Option<String> {
    let problem = match error {
        AuthError::AuthExecStart(error) => format!("cannot be started: {error}"),
        AuthError::AuthExecRun { out, .. } => {
            let said = String::from_utf8_lossy(&out.stderr);
            let said = shorten(said.trim());
            let colon = if said.is_empty() { "" } else { ": " };
            format!("failed with {}{colon}{said}", out.status)
        }
        AuthError::AuthExecParse(_) => "printed something that is no ExecCredential".to_owned(),
        AuthError::AuthExec(_) => "gave no credentials".to_owned(),
        _ => return None,
    };
    Some(format!("the plugin {name} of the kubeconfig {problem}"))
}

/// The same for the error of a request: the plugin is asked again when its token expires.
pub(super) fn known(name: &str, error: BoxError) -> BoxError {
    let failure = error.downcast_ref().and_then(|error| failure(name, error));
    failure.map_or(error, Into::into)
}
