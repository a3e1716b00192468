//! Lists objects, page by page.

use std::{fmt, time::Duration};

use ecr_refresher_core::{ErrorChain, shorten};
use kube::{Api, Error, api::ListParams, core::Status};
use serde::de::DeserializeOwned;
use tokio::time::timeout;

/// How many objects are asked for at once.
const PAGE: u32 = 500;
/// How long one page may take. The client itself would wait for ever.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Objects could not be listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// The user has no permission.
    #[error(
        "{user} may not {verb} {what}: allow the verb `{verb}` on `{}` {}",
        what.resource(),
        what.rule(),
        verb = what.verb()
    )]
    Forbidden {
        /// The user, as the API server names it.
        user: String,
        /// The objects.
        what: Listed,
    },
    /// The API server does not accept the credentials.
    #[error("the API server does not accept the credentials: {message}")]
    Unauthorized {
        /// Its message.
        message: String,
    },
    /// Anything else.
    #[error("cannot list {what}: {message}")]
    Failed {
        /// The objects.
        what: Listed,
        /// The error.
        message: String,
    },
}

/// The listed objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listed {
    /// The namespaces.
    Namespaces,
    /// One of them.
    Namespace(
        /// Its name.
        String,
    ),
    /// The Secrets of a name, in one namespace or in all.
    Secrets {
        /// Their name.
        name: String,
        /// The one namespace.
        namespace: Option<String>,
    },
}

impl Listed {
    /// The verb that is needed at least.
    const fn verb(&self) -> &'static str {
        match self {
            Self::Namespaces | Self::Secrets { namespace: None, .. } => "list",
            Self::Namespace(_) | Self::Secrets { .. } => "get",
        }
    }

    const fn resource(&self) -> &'static str {
        match self {
            Self::Namespaces | Self::Namespace(_) => "namespaces",
            Self::Secrets { .. } => "secrets",
        }
    }

    /// The RBAC rule that allows it and no more.
    fn rule(&self) -> String {
        match self {
            Self::Namespaces => "by a ClusterRole".to_owned(),
            Self::Namespace(_) => "by a Role there".to_owned(),
            Self::Secrets { name, namespace } => {
                let role = if namespace.is_some() { "a Role there" } else { "a ClusterRole" };
                format!("by {role}; restrict it with `resourceNames: [{name}]`")
            }
        }
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Namespaces => write!(formatter, "the namespaces"),
            Self::Namespace(name) => write!(formatter, "the namespace `{name}`"),
            Self::Secrets { name, namespace: None } => {
                write!(formatter, "the Secrets named `{name}` in all namespaces")
            }
            Self::Secrets { name, namespace: Some(namespace) } => {
                write!(formatter, "the Secret `{name}` in the namespace `{namespace}`")
            }
        }
    }
}

/// Lists objects page by page, and passes each to `take`.
pub(crate) async fn list<K>(
    api: &Api<K>,
    what: &Listed,
    fields: Option<String>,
    mut take: impl FnMut(K),
) -> Result<(), ListError>
where
    K: Clone + fmt::Debug + DeserializeOwned,
{
    let mut page = ListParams { field_selector: fields, ..ListParams::default().limit(PAGE) };
    loop {
        let listed = timeout(TIMEOUT, api.list(&page)).await.map_err(|_| no_answer(what))?;
        let listed = listed.map_err(|error| describe(what, &error))?;
        listed.items.into_iter().for_each(&mut take);
        page.continue_token = listed.metadata.continue_.filter(|token| !token.is_empty());
        if page.continue_token.is_none() {
            return Ok(());
        }
    }
}

/// Lists the object with a name in one namespace; or gets it, for a user who has no permission to list. Returns whether it
/// was listed.
pub(crate) async fn list_or_get<K>(
    api: &Api<K>,
    what: &Listed,
    name: &str,
    mut take: impl FnMut(K),
) -> Result<bool, ListError>
where
    K: Clone + fmt::Debug + DeserializeOwned,
{
    match list(api, what, Some(format!("metadata.name={name}")), &mut take).await {
        Err(ListError::Forbidden { .. }) => {}
        listed => return listed.map(|()| true),
    }
    let found = timeout(TIMEOUT, api.get_opt(name)).await.map_err(|_| no_answer(what))?;
    found.map_err(|error| describe(what, &error))?.into_iter().for_each(take);
    Ok(false)
}

fn no_answer(what: &Listed) -> ListError {
    let message = format!("the API server did not answer within {} s", TIMEOUT.as_secs());
    ListError::Failed { what: what.clone(), message }
}

fn describe(what: &Listed, error: &Error) -> ListError {
    let what = what.clone();
    let Error::Api(status) = error else {
        let message = format!("could not reach the API server: {}", ErrorChain(error));
        return ListError::Failed { what, message };
    };
    let message = shorten(&status.message);
    match status.code {
        401 => ListError::Unauthorized { message },
        403 => ListError::Forbidden { user: user(status), what },
        code => ListError::Failed {
            what,
            message: format!("the API server answered {code}: {message}"),
        },
    }
}

/// The refused user: the message is `User "NAME" cannot list …`.
fn user(status: &Status) -> String {
    let named = status.message.split_once("User \"").and_then(|(_, rest)| rest.split_once('"'));
    match named {
        Some((name, _)) if !name.is_empty() => format!("`{}`", shorten(name)),
        _ => "the user of the kubeconfig".to_owned(),
    }
}
