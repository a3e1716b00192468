//! One of the two servers.

use futures::{StreamExt, future::join_all};
use http::{Request, header};
use http_body_util::BodyExt;
use kube::{Client, client::Body};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{normal::normal, operation::Operation};

const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST: &str = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

/// The watches that are compared, over all namespaces.
pub(crate) const WATCHES: [&str; 10] = [
    "/api/v1/namespaces",
    "/api/v1/secrets",
    "/api/v1/secrets?fieldSelector=metadata.name%3Done",
    "/api/v1/secrets?fieldSelector=type!%3DOpaque",
    "/api/v1/secrets?labelSelector=a%3Dx",
    "/api/v1/secrets?labelSelector=a%3Dx&fieldSelector=metadata.name%3Done",
    "/api/v1/secrets?fieldSelector=metadata.name%3Dtwo",
    "/api/v1/serviceaccounts?fieldSelector=metadata.name%3Done",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/events.k8s.io/v1/events",
];

/// A server, and the runtime in which its client lives.
pub(crate) struct Server<'a> {
    runtime: &'a Runtime,
    client: Client,
    prefix: String,
    /// The version at which the comparison began.
    version: String,
}

impl<'a> Server<'a> {
    /// A server of which only the namespaces that begin with `prefix` and a dash count.
    pub(crate) fn new(runtime: &'a Runtime, client: Client, prefix: &str) -> Self {
        let (prefix, version) = (format!("{prefix}-"), String::new());
        let mut this = Self { runtime, client, prefix, version };
        let list = this.request("GET", "/api/v1/secrets?limit=1", "", "", &Value::Null).1;
        this.version = version_of(&list);
        this
    }

    /// Sends a request, and returns what can be compared of the answer and of what it did.
    pub(crate) fn send(&self, operation: &Operation) -> Value {
        let before = if operation.object.is_empty() {
            Value::Null
        } else {
            self.request("GET", &operation.object, "", "", &Value::Null).1
        };
        let version = version_of(&before);
        let uid = before["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let body = operation.body(&before);
        let is_list = operation.object.is_empty();
        let accept = match (operation.metadata_only, is_list) {
            (false, _) => "application/json",
            (true, false) => METADATA,
            (true, true) => METADATA_LIST,
        };
        let path = if operation.query.is_empty() {
            operation.path.clone()
        } else {
            format!("{}?{}", operation.path, operation.query)
        };
        let request =
            |path: &str| self.request(operation.method, path, accept, operation.content, &body);
        let (status, answer) = request(&path);
        let mut pages = Vec::new();
        let mut page = answer.clone();
        while let Some(token) = page["metadata"]["continue"].as_str().filter(|it| !it.is_empty()) {
            page = request(&format!("{path}&continue={token}")).1;
            pages.push(page.clone());
        }
        let mut answer = normal(&answer, &uid, &version);
        if is_list && let Some(items) = answer["items"].as_array_mut() {
            items.retain(|item| self.counts(item));
        }
        let after = match operation.method {
            "GET" => Value::Null,
            _ => self.request("GET", &operation.object, "", "", &Value::Null).1,
        };
        json!({
            "status": status,
            "answer": answer,
            "pages": pages.iter().map(|page| normal(page, "", "")).collect::<Vec<_>>(),
            "before": normal(&before, "", ""),
            "after": normal(&after, "", ""),
            "is_changed": operation.method != "GET" && version != version_of(&after),
        })
    }

    /// The events of all watches since the comparison began.
    pub(crate) fn watch_all(&self) -> Vec<Vec<Value>> {
        self.runtime.block_on(join_all(WATCHES.map(|path| self.watch(path))))
    }

    async fn watch(&self, path: &str) -> Vec<Value> {
        let separator = if path.contains('?') { '&' } else { '?' };
        let from = &self.version;
        let path = format!("{path}{separator}watch=true&resourceVersion={from}&timeoutSeconds=1");
        let mut request = Request::get(&path);
        // As the daemon watches copies.
        if path.contains("metadata.name") && path.contains("/secrets") {
            request = request.header(header::ACCEPT, METADATA);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = self.client.send(request).await.unwrap();
        let mut chunks = response.into_body().into_data_stream();
        let mut bytes = Vec::new();
        while let Some(Ok(chunk)) = chunks.next().await {
            bytes.extend_from_slice(&chunk);
        }
        bytes
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice::<Value>(line).unwrap())
            .filter(|event| event["type"] == "ERROR" || self.counts(&event["object"]))
            .map(|event| normal(&event, "", ""))
            .collect()
    }

    fn counts(&self, object: &Value) -> bool {
        let metadata = &object["metadata"];
        let namespace = metadata["namespace"].as_str().or_else(|| metadata["name"].as_str());
        namespace.is_some_and(|namespace| namespace.starts_with(&self.prefix))
    }

    fn request(
        &self,
        method: &str,
        path: &str,
        accept: &str,
        content: &str,
        body: &Value,
    ) -> (u16, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if !accept.is_empty() {
            request = request.header(header::ACCEPT, accept);
        }
        if !content.is_empty() {
            request = request.header(header::CONTENT_TYPE, content);
        }
        let bytes = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = request.body(Body::from(bytes)).unwrap();
        self.runtime.block_on(async {
            let response = self.client.send(request).await.unwrap();
            let status = response.status().as_u16();
            let bytes = response.into_body().collect_bytes().await.unwrap();
            let text = || json!(String::from_utf8_lossy(&bytes));
            (status, serde_json::from_slice(&bytes).unwrap_or_else(|_| text()))
        })
    }
}

fn version_of(object: &Value) -> String {
    object["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned()
}
