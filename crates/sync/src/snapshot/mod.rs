//! The cluster at one moment, for the commands that write nothing. Reads metadata only, as the watches
//! do.

pub mod list;

use std::{collections::HashMap, time::Duration};

use ecr_refresher_core::clock::Now;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Namespace as ApiNamespace, Secret};
use kube::{Api, Client, ResourceExt};

use self::list::{ListError, Listed, list, list_or_get};
use crate::{
    desired::{
        manifest::SECRET_TYPE,
        settings::{PerNamespace, Settings},
    },
    index::{Index, event::Event},
    job::slot::SecretSlot,
    observed::{
        change::Watched,
        copy::ObservedCopy,
        metadata::{Metadata, MetadataOnly},
        namespace::Namespace,
    },
    release::Release,
    report::{
        Report,
        copy_view::{CopyView, Detail},
    },
};

/// The cluster, or one namespace of it, at one moment.
#[derive(Debug)]
pub struct Snapshot {
    index: Index,
    release: Release,
    at: Timestamp,
    details: HashMap<(SecretSlot, String), Detail>,
}

impl Snapshot {
    /// Lists, for this release, all namespaces, or only one, and the Secrets there with the names of the pull Secrets.
    /// Calls `progress` for each object.
    ///
    /// # Errors
    /// If something cannot be listed.
    pub async fn take(
        client: &Client,
        settings: &Settings,
        release: Release,
        only: Option<&str>,
        at: Timestamp,
        progress: &(dyn Fn() + Sync),
    ) -> Result<Self, ListError> {
        let mut snapshot = Self::begin(settings, release, at);
        let namespaces = Api::<MetadataOnly<ApiNamespace>>::all(client.clone());
        let add = |object: MetadataOnly<ApiNamespace>| {
            snapshot.add_namespace(&object.name_any(), Namespace::new(&object));
            progress();
        };
        match only {
            None => list(&namespaces, &Listed::Namespaces, None, add).await?,
            Some(name) => {
                let what = Listed::Namespace(name.to_owned());
                list_or_get(&namespaces, &what, name, add).await?;
            }
        }
        for secret in &settings.secrets {
            snapshot.list_copies(client, &secret.name, only, progress).await?;
        }
        snapshot.end();
        Ok(snapshot)
    }

    /// Lists the Secrets with a name. Those of another type are listed once more: the metadata does not say it.
    async fn list_copies(
        &mut self,
        client: &Client,
        name: &str,
        only: Option<&str>,
        progress: &(dyn Fn() + Sync),
    ) -> Result<(), ListError> {
        let what = Listed::Secrets { name: name.to_owned(), namespace: only.map(str::to_owned) };
        let named = format!("metadata.name={name}");
        let add = |copy: MetadataOnly<Secret>| {
            self.add_copy(name, &copy.metadata);
            progress();
        };
        let copies: Api<MetadataOnly<Secret>> = match only {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        let is_listed = match only {
            Some(_) => list_or_get(&copies, &what, name, add).await?,
            None => list(&copies, &what, Some(named.clone()), add).await.map(|()| true)?,
        };
        if !is_listed {
            return Ok(());
        }
        list(&copies, &what, Some(format!("{named},type!={SECRET_TYPE}")), |copy| {
            self.mark_other_type(name, copy.metadata.object.namespace.unwrap_or_default());
        })
        .await
    }

    /// Notes that a Secret with the name of a pull Secret has another type than copies have.
    fn mark_other_type(&mut self, name: &str, namespace: String) {
        let slot = self.index.secrets().find_map(|(slot, it)| (it.name == name).then_some(slot));
        let detail = slot.and_then(|slot| self.details.get_mut(&(slot, namespace)));
        if let Some(detail) = detail {
            detail.has_other_type = true;
        }
    }

    /// A snapshot, as this release sees it, that objects are added to.
    #[must_use]
    pub fn begin(settings: &Settings, release: Release, at: Timestamp) -> Self {
        let index = Index::new(settings, 0);
        let mut snapshot = Self { index, release, at, details: HashMap::new() };
        snapshot.apply_to_all(|| Watched::ListBegun, || Watched::ListBegun);
        snapshot
    }

    /// Adds a namespace.
    pub fn add_namespace(&mut self, name: &str, namespace: Namespace) {
        let change = Watched::Listed(name.to_owned(), namespace);
        self.index.apply(Event::Namespace(change), self.now());
    }

    /// Adds a Secret with the name of a pull Secret.
    pub fn add_copy(&mut self, name: &str, metadata: &Metadata) {
        let mut secrets = self.index.secrets();
        let Some((secret, settings)) = secrets.find(|(_, secret)| secret.name == name) else {
            return;
        };
        let namespace = metadata.object.namespace.clone().unwrap_or_default();
        let detail = Detail::new(metadata, settings);
        self.details.insert((secret, namespace.clone()), detail);
        drop(secrets);
        let change = Watched::Listed(namespace, ObservedCopy::new(metadata, &self.release));
        self.index.apply(Event::Copy { secret, change }, self.now());
    }

    /// Ends: objects that were not added do not exist.
    pub fn end(&mut self) {
        self.apply_to_all(|| Watched::ListEnded, || Watched::ListEnded);
    }

    fn apply_to_all(
        &mut self,
        namespaces: impl Fn() -> Watched<Namespace>,
        copies: impl Fn() -> Watched<ObservedCopy>,
    ) {
        self.index.apply(Event::Namespace(namespaces()), self.now());
        let slots: Vec<_> = self.index.secrets().map(|(slot, _)| slot).collect();
        for secret in slots {
            self.index.apply(Event::Copy { secret, change: copies() }, self.now());
        }
    }

    fn now(&self) -> Now {
        Now { wall: self.at, uptime: Duration::ZERO }
    }

    /// The moment.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// Each pull Secret in each namespace that exists.
    pub fn copies(&self) -> impl Iterator<Item = CopyView<'_>> {
        self.index.copy_views().map(|view| {
            let detail = self.details.get(&(view.slot, view.namespace.to_owned()));
            CopyView { detail, ..view }
        })
    }

    /// The pull Secrets, with the matches of each pattern and the counts of their copies.
    #[must_use]
    pub fn report(&self) -> Report {
        self.index.report(self.now(), PerNamespace::Off)
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

    /// A client of an API server that answers with the first of `answers` with a text that is part of the
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
            take_over: Vec::new(),
            labels: BTreeMap::new(),
            annotations: BTreeMap::new(),
        };
        Settings {
            secrets: vec![secret],
            spread: Duration::ZERO,
            prune_after: None,
            prune_limit: 1.0,
            concurrency: 1,
            per_namespace: PerNamespace::Off,
        }
    }

    fn release() -> Release {
        Release::new("home", "ours")
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

    async fn take(
        client: &Client,
        settings: &Settings,
        only: Option<&str>,
    ) -> Result<Snapshot, ListError> {
        Snapshot::take(client, settings, release(), only, Timestamp::UNIX_EPOCH, &|| {}).await
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
        let snapshot = take(&client, &settings(), None).await.unwrap();
        let states: Vec<_> = snapshot
            .copies()
            .map(|sighting| (sighting.namespace.to_owned(), sighting.state(true, snapshot.at())))
            .collect();
        assert_eq!(
            states,
            [("a".to_owned(), CopyState::Missing), ("b".to_owned(), CopyState::Conflict)]
        );
        assert_eq!(snapshot.report().secrets[0].patterns, [("*".to_owned(), 2)]);
        let asked = asked.lock().unwrap();
        assert_eq!(asked.len(), 4);
        assert!(asked.iter().all(|uri| uri.contains("limit=500")), "{asked:?}");
        assert!(asked[2].contains("fieldSelector=metadata.name%3Decr-pull"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_forbidden_list_is_reported_with_the_user_and_the_remedy() {
        let status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "secrets is forbidden: User \"alice\" cannot list resource \"secrets\"",
            "reason": "Forbidden", "code": 403,
        });
        let (client, _) =
            client(vec![("/namespaces?", 200, page(&[], "")), ("/secrets?", 403, status)]);
        let error = take(&client, &settings(), None).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "`alice` may not list the Secrets named `ecr-pull` in all namespaces: allow the verb \
             `list` on `secrets` by a ClusterRole; restrict it with \
             `resourceNames: [ecr-pull]`"
        );
    }

    #[tokio::test]
    async fn one_namespace_is_listed_without_the_others() {
        let name = json!({ "name": "a" });
        let (client, asked) = client(vec![
            ("/namespaces/a/secrets?", 200, page(&[], "")),
            ("fieldSelector=metadata.name%3Da", 200, page(&[object(&name)], "")),
        ]);
        let snapshot = take(&client, &settings(), Some("a")).await.unwrap();
        assert_eq!(snapshot.copies().count(), 1);
        assert_eq!(asked.lock().unwrap().len(), 3);
    }

    #[tokio::test]
    async fn a_secret_of_another_type_is_a_conflict_that_is_not_taken_over() {
        let copy = object(&json!({ "name": "ecr-pull", "namespace": "a" }));
        let (client, _) = client(vec![
            ("/namespaces?", 200, page(&[object(&json!({ "name": "a" }))], "")),
            ("type%21%3D", 200, page(std::slice::from_ref(&copy), "")),
            ("/secrets?", 200, page(std::slice::from_ref(&copy), "")),
        ]);
        let mut settings = settings();
        settings.secrets[0].on_conflict = OnConflict::Adopt;
        let snapshot = take(&client, &settings, None).await.unwrap();
        let view = snapshot.copies().next().unwrap();
        assert!(view.has_other_type() && !view.is_taken_over());
        assert_eq!(view.state(true, snapshot.at()), CopyState::Conflict);
    }

    #[tokio::test]
    async fn with_permission_to_get_alone_one_namespace_is_read() {
        let forbidden = || json!({ "kind": "Status", "message": "", "code": 403 });
        let (client, asked) = client(vec![
            ("/secrets?", 403, forbidden()),
            ("/namespaces?", 403, forbidden()),
            ("/secrets/ecr-pull", 200, object(&json!({ "name": "ecr-pull", "namespace": "a" }))),
            ("/namespaces/a", 200, object(&json!({ "name": "a" }))),
        ]);
        let snapshot = take(&client, &settings(), Some("a")).await.unwrap();
        let states = snapshot.copies().map(|view| view.state(true, snapshot.at()));
        assert_eq!(states.collect::<Vec<_>>(), [CopyState::Conflict]);
        assert_eq!(asked.lock().unwrap().len(), 4);
    }
}
