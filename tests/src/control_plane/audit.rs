//! The audit log: the requests to the API server, their users and their answers.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::path::PathBuf;

use anyhow::{Context, Result};
use k8s_openapi::jiff::Timestamp;
use serde::Deserialize;

/// The audit log from some moment on. It has the requests of service accounts.
///
/// A request is in the log a moment after its answer at the latest: wait for a count that should be
/// reached, with [`eventually`](crate::wait::eventually).
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
    from: u64,
}

/// One request that was answered; a watch counts once its answer has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Such as `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// What the client calls itself.
    pub user_agent: String,
    /// Such as `get`, `list`, `watch`, `create`, `patch`, `delete`.
    pub verb: String,
    /// The path with its query.
    pub uri: String,
    /// Such as `secrets`; empty for a path without a resource, such as `/version`, like the next four.
    pub resource: String,
    /// Such as `coordination.k8s.io`; empty for the core group.
    pub api_group: String,
    /// Such as `token`.
    pub subresource: String,
    /// Empty also for a request over all namespaces.
    pub namespace: String,
    /// Empty also for a request about many objects.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// `ResponseComplete`; `ResponseStarted` for a watch; `Panic` when the server failed.
    pub stage: String,
    /// When the API server received it.
    pub received: Timestamp,
    /// When its answer ended; of a watch, when that began.
    pub answered: Timestamp,
}

/// Which requests to count: those that are as each given part says.
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct Filter<'a> {
    verb: Option<&'a str>,
    resource: Option<&'a str>,
    subresource: Option<&'a str>,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    code: Option<u16>,
}

impl Request {
    /// Whether it asks what would happen, and changes nothing.
    #[must_use]
    pub fn is_dry_run(&self) -> bool {
        self.uri.contains("dryRun=")
    }
}

impl AuditLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, from: 0 }
    }

    /// The log from now on: without all that is in it already.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn from_now(&self) -> Result<Self> {
        let text = self.read()?;
        Ok(Self { path: self.path.clone(), from: self.from + text.len() as u64 })
    }

    /// All requests, in the order in which they ended.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn requests(&self) -> Result<Vec<Request>> {
        parse(&self.read()?, |_| true)
    }

    /// The requests of one user; [`user_name`](super::user_name) gives that of a ServiceAccount.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn requests_by(&self, user: &str) -> Result<Vec<Request>> {
        // Most lines of others are put aside without parsing them.
        let mut requests = parse(&self.read()?, |line| line.contains(user))?;
        requests.retain(|request| request.user == user);
        Ok(requests)
    }

    /// The requests of `user` that are as `filter` says.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn matching(&self, user: &str, filter: Filter<'_>) -> Result<Vec<Request>> {
        let mut requests = self.requests_by(user)?;
        requests.retain(|request| filter.matches(request));
        Ok(requests)
    }

    /// How many requests of `user` are as `filter` says.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn count(&self, user: &str, filter: Filter<'_>) -> Result<usize> {
        Ok(self.matching(user, filter)?.len())
    }

    /// Whole lines only: the server may be writing one.
    fn read(&self) -> Result<String> {
        let mut file = match File::open(&self.path) {
            // The server makes the file when it starts.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(String::new()),
            file => file.context("opening the audit log")?,
        };
        file.seek(SeekFrom::Start(self.from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).context("reading the audit log")?;
        let end = bytes.iter().rposition(|&byte| byte == b'\n');
        bytes.truncate(end.map_or(0, |end| end + 1));
        String::from_utf8(bytes).context("reading the audit log")
    }
}

impl<'a> Filter<'a> {
    /// Of that verb.
    pub fn verb(self, verb: &'a str) -> Self {
        let verb = Some(verb);
        Self { verb, ..self }
    }

    /// On that kind of resource, in the plural.
    pub fn resource(self, resource: &'a str) -> Self {
        let resource = Some(resource);
        Self { resource, ..self }
    }

    /// On that subresource; empty: on none.
    pub fn subresource(self, subresource: &'a str) -> Self {
        let subresource = Some(subresource);
        Self { subresource, ..self }
    }

    /// In that namespace; empty: over all.
    pub fn namespace(self, namespace: &'a str) -> Self {
        let namespace = Some(namespace);
        Self { namespace, ..self }
    }

    /// About the object of that name; empty: about many.
    pub fn name(self, name: &'a str) -> Self {
        let name = Some(name);
        Self { name, ..self }
    }

    /// Answered with that HTTP status.
    pub fn code(self, code: u16) -> Self {
        let code = Some(code);
        Self { code, ..self }
    }

    /// Whether `request` is as this says. A dry run never is: it changes nothing.
    #[must_use]
    pub fn matches(&self, request: &Request) -> bool {
        let same = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
        !request.is_dry_run()
            && same(self.verb, &request.verb)
            && same(self.resource, &request.resource)
            && same(self.subresource, &request.subresource)
            && same(self.namespace, &request.namespace)
            && same(self.name, &request.name)
            && self.code.is_none_or(|code| code == request.code)
    }
}

fn parse(text: &str, wanted: impl Fn(&str) -> bool) -> Result<Vec<Request>> {
    let mut requests = Vec::new();
    for line in text.lines().filter(|line| wanted(line)) {
        let event: Event = serde_json::from_str(line)
            .with_context(|| format!("reading this line of the audit log: {line}"))?;
        if event.counts() {
            requests.push(event.into());
        }
    }
    Ok(requests)
}

/// A line of the log, of `audit.k8s.io/v1`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: ResponseStatus,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct User {
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    resource: String,
    api_group: String,
    subresource: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseStatus {
    code: u16,
}

impl Event {
    /// A watch has a line when it begins and one when it ends: one of them is enough.
    fn counts(&self) -> bool {
        (self.verb == "watch") == (self.stage == "ResponseStarted")
    }
}

impl From<Event> for Request {
    fn from(event: Event) -> Self {
        Self {
            user: event.user.username,
            user_agent: event.user_agent,
            verb: event.verb,
            uri: event.request_uri,
            resource: event.object_ref.resource,
            api_group: event.object_ref.api_group,
            subresource: event.object_ref.subresource,
            namespace: event.object_ref.namespace,
            name: event.object_ref.name,
            code: event.response_status.code,
            stage: event.stage,
            received: event.request_received_timestamp,
            answered: event.stage_timestamp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn line(user: &str, verb: &str, stage: &str, code: u16) -> String {
        let event = serde_json::json!({
            "kind": "Event", "apiVersion": "audit.k8s.io/v1", "level": "Metadata",
            "stage": stage, "verb": verb, "requestURI": "/api/v1/namespaces/a/secrets/b",
            "user": { "username": user, "groups": ["system:serviceaccounts"] },
            "objectRef": { "resource": "secrets", "namespace": "a", "name": "b", "apiVersion": "v1" },
            "responseStatus": { "metadata": {}, "code": code },
            "requestReceivedTimestamp": "2026-01-02T03:04:05.678901Z",
            "stageTimestamp": "2026-01-02T03:04:05.679901Z",
        });
        format!("{event}\n")
    }

    fn log_of(text: &str) -> (tempfile::NamedTempFile, AuditLog) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let log = AuditLog::new(file.path().to_owned());
        (file, log)
    }

    #[test]
    fn requests_are_counted_by_user_verb_and_object() {
        let text = [
            line("a", "patch", "ResponseComplete", 200),
            line("a", "patch", "ResponseComplete", 403),
            line("ab", "patch", "ResponseComplete", 200),
        ];
        let (_file, log) = log_of(&text.concat());
        let patches = Filter::default().verb("patch").resource("secrets").name("b");
        assert_eq!(log.count("a", patches).unwrap(), 2);
        assert_eq!(log.count("a", patches.code(403)).unwrap(), 1);
        assert_eq!(log.count("a", patches.namespace("other")).unwrap(), 0);
        assert_eq!(log.requests().unwrap().len(), 3);
    }

    #[test]
    fn a_watch_counts_once() {
        let text = [
            line("a", "watch", "ResponseStarted", 200),
            line("a", "watch", "ResponseComplete", 200),
        ];
        let (_file, log) = log_of(&text.concat());
        assert_eq!(log.requests_by("a").unwrap().len(), 1);
    }

    #[test]
    fn a_log_from_now_on_has_no_earlier_and_no_partial_lines() {
        let text = line("a", "get", "ResponseComplete", 200);
        let (half, rest) = text.split_at(20);
        let (mut file, log) = log_of(&format!("{text}{half}"));
        let from_now = log.from_now().unwrap();
        assert_eq!(log.requests().unwrap().len(), 1);
        assert!(from_now.requests().unwrap().is_empty());
        file.write_all(rest.as_bytes()).unwrap();
        assert_eq!(from_now.requests().unwrap().len(), 1);
    }
}
