//! Looks at the cluster once, and writes nothing. Asks for metadata only, as the watches do.

pub mod copy_view;
pub mod list;

use std::{collections::HashMap, time::Duration};

use ecr_refresher_core::clock::Now;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace as ApiNamespace, Secret};
use kube::{Api, Client, ResourceExt};

use crate::{
    desired::settings::Settings,
    index::{Index, event::Event},
    observed::{
        change::Watched,
        copy::ObservedCopy,
        metadata::{Metadata, MetadataOnly},
        namespace::Namespace,
    },
    report::Report,
    snapshot::{
        copy_view::{CopyView, Detail},
        list::{ListError, Listed, list},
    },
};

/// The cluster, or one namespace of it, as it was at one moment.
#[derive(Debug)]
pub struct Snapshot {
    index: Index,
    at: Timestamp,
    /// By the place of the pull Secret, and the namespace.
    details: Vec<HashMap<String, Detail>>,
}

/// Looks at all namespaces, or at only one, and at the Secrets there with the names of the pull
/// Secrets.
///
/// # Errors
/// When something cannot be listed.
pub async fn look(
    client: &Client,
    settings: &Settings,
    only: Option<&str>,
    at: Timestamp,
) -> Result<Snapshot, ListError> {
    let mut look = Snapshot::begin(settings, at);
    let namespaces = Api::<MetadataOnly<ApiNamespace>>::all(client.clone());
    let named = only.map(|name| format!("metadata.name={name}"));
    list(&namespaces, &Listed::Namespaces, named, |object| {
        look.see_namespace(&object.name_any(), Namespace::new(&object));
    })
    .await?;
    for (place, secret) in settings.secrets.iter().enumerate() {
        let copies: Api<MetadataOnly<Secret>> = match only {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let name = secret.name.clone();
        let named = format!("metadata.name={name}");
        let what = Listed::Secrets { name, namespace: only.map(str::to_owned) };
        list(&copies, &what, Some(named), |copy| look.see_copy(place, &copy.metadata)).await?;
    }
    look.end();
    Ok(look)
}

impl Snapshot {
    /// Begins to look, with nothing seen.
    #[must_use]
    pub fn begin(settings: &Settings, at: Timestamp) -> Self {
        let mut look = Self { index: Index::new(settings, 0), at, details: Vec::new() };
        look.details.resize_with(settings.secrets.len(), HashMap::new);
        look.index.apply(Event::Namespace(Watched::ListBegun), look.now());
        for secret in 0..settings.secrets.len() {
            look.index.apply(Event::Copy { secret, change: Watched::ListBegun }, look.now());
        }
        look
    }

    /// Sees a namespace.
    pub fn see_namespace(&mut self, name: &str, namespace: Namespace) {
        let change = Watched::Listed(name.to_owned(), namespace);
        self.index.apply(Event::Namespace(change), self.now());
    }

    /// Sees a Secret with the name of the pull Secret that has this place in the settings.
    pub fn see_copy(&mut self, place: usize, metadata: &Metadata) {
        let namespace = metadata.object.namespace.clone().unwrap_or_default();
        if let Some((secret, details)) = self.index.secret(place).zip(self.details.get_mut(place)) {
            details.insert(namespace.clone(), Detail::new(metadata, secret));
        }
        let change = Watched::Listed(namespace, ObservedCopy::new(metadata));
        self.index.apply(Event::Copy { secret: place, change }, self.now());
    }

    /// Ends: what was not seen is not there.
    pub fn end(&mut self) {
        self.index.apply(Event::Namespace(Watched::ListEnded), self.now());
        for secret in 0..self.details.len() {
            self.index.apply(Event::Copy { secret, change: Watched::ListEnded }, self.now());
        }
    }

    fn now(&self) -> Now {
        Now { wall: self.at, uptime: Duration::ZERO }
    }

    /// When it was.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Every namespace that was seen, as each pull Secret sees it.
    pub fn copies(&self) -> impl Iterator<Item = CopyView<'_>> {
        self.index.survey().map(|sighting| {
            let details = self.details.get(sighting.place);
            let detail = details.and_then(|details| details.get(sighting.namespace));
            CopyView { detail, ..sighting }
        })
    }

    /// The pull Secrets, with what each pattern matches, and the counts of their copies.
    #[must_use]
    pub fn report(&self) -> Report {
        self.index.report(self.now(), crate::desired::settings::PerNamespace::Off)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeMap,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use http::{Request, Response};
    use kube::{client::Body, core::Selector};
    use serde_json::{Value, json};
    use tower::service_fn;

    use super::*;
    use crate::{
        desired::{
            allow_list::AllowList,
            settings::{OnConflict, PerNamespace, PullSecret},
        },
        report::CopyState,
    };

    /// A client of an API server that answers with the first of `answers` whose text is part of the
    /// URL; and what it was asked for.
    fn client(answers: Vec<(&'static str, u16, Value)>) -> (Client, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let service = service_fn(move |request: Request<Body>| {
            let uri = request.uri().to_string();
            let (_, code, body) = answers.iter().find(|(part, ..)| uri.contains(part)).unwrap();
            let response = Response::builder().status(*code);
            let response = response.body(Body::from(body.to_string().into_bytes()));
            log.lock().unwrap().push(uri);
            async move { response }
        });
        (Client::new(service, "default"), asked)
    }

    fn settings() -> Settings {
        let secret = PullSecret {
            name: "ecr-pull".to_owned(),
            registries: vec!["main".into()],
            allow_list: AllowList::new(vec!["*".to_owned()], vec![], Selector::default()).unwrap(),
            service_accounts: Vec::new(),
            on_conflict: OnConflict::Skip,
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        };
        Settings {
            secrets: vec![secret],
            spread: Duration::ZERO,
            prune_after: None,
            concurrency: 1,
            per_namespace: PerNamespace::Off,
        }
    }

    fn page(objects: &[Value], next: &str) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
            "metadata": { "continue": next }, "items": objects,
        })
    }

    fn object(metadata: &Value) -> Value {
        json!({
            "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata,
        })
    }

    #[tokio::test]
    async fn all_pages_are_read_and_put_together() {
        let (client, asked) = client(vec![
            ("continue=next", 200, page(&[object(&json!({ "name": "b" }))], "")),
            ("/namespaces?", 200, page(&[object(&json!({ "name": "a" }))], "next")),
            (
                "/secrets?",
                200,
                page(&[object(&json!({ "name": "ecr-pull", "namespace": "b" }))], ""),
            ),
        ]);
        let look = look(&client, &settings(), None, Timestamp::UNIX_EPOCH).await.unwrap();
        let states: Vec<_> = look
            .copies()
            .map(|sighting| (sighting.namespace.to_owned(), sighting.state(true, look.at())))
            .collect();
        assert_eq!(
            states,
            [("a".to_owned(), CopyState::Missing), ("b".to_owned(), CopyState::Conflict)]
        );
        assert_eq!(look.report().secrets[0].patterns, [("*".to_owned(), 2)]);
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 3);
        assert!(asked.iter().all(|uri| uri.contains("limit=500")), "{asked:?}");
        assert!(asked[2].contains("fieldSelector=metadata.name%3Decr-pull"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_list_that_is_forbidden_is_named_with_who_asked_and_the_remedy() {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "secrets is forbidden: User \"alice\" cannot list resource \"secrets\"",
            "reason": "Forbidden", "code": 403,
        });
        let (client, _) =
            client(vec![("/namespaces?", 200, page(&[], "")), ("/secrets?", 403, status)]);
        let error = look(&client, &settings(), None, Timestamp::UNIX_EPOCH).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`alice` may not list the Secrets named `ecr-pull` in all namespaces: allow the verb \
             `list` on `secrets` by a ClusterRole; with `resourceNames: [ecr-pull]` it is no more \
             than that"
        );
    }

    #[tokio::test]
    async fn one_namespace_is_looked_at_without_the_others() {
        let name = json!({ "name": "a" });
        let (client, asked) = client(vec![
            ("/namespaces/a/secrets?", 200, page(&[], "")),
            ("fieldSelector=metadata.name%3Da", 200, page(&[object(&name)], "")),
        ]);
        let look = look(&client, &settings(), Some("a"), Timestamp::UNIX_EPOCH).await.unwrap();
        assert_eq!(look.copies().count(), 1);
        assert_eq!(asked.lock().unwrap().len(), 2);
    }
}
