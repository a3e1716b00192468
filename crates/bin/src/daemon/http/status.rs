//! The state of the fleet at one moment: a page for people, and the same as JSON.

use std::sync::LazyLock;

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use ecr_refresher_core::clock::Clock;
use ecr_refresher_sync::{
    release::Release,
    report::{CopyReport, CopyState, Report, SecretReport, UNWANTED},
};
use serde::Serialize;
use sha2::{Digest, Sha256};
use strum::VariantArray;
use tokio::sync::watch;

use crate::{config::ConfigState, metrics::Metrics, registry_status::RegistryNow, words};

/// The longest list of copies: the page stays small in the largest cluster.
const MOST_COPIES: usize = 100;
/// The longest reason in a row, in bytes.
const LONGEST_REASON: usize = 300;
const STYLE: &str = include_str!("../../../templates/status.css");

/// Nothing is loaded from elsewhere, and nothing runs: only this style is applied.
pub(super) static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let hash = STANDARD.encode(Sha256::digest(STYLE.as_bytes()));
    format!(
        "default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'"
    )
});

/// The replica that shows the page.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) release: Release,
    pub(crate) replica: String,
    /// The replica that leads, if it is known.
    pub(crate) leader: watch::Receiver<Option<String>>,
    pub(crate) clock: Clock,
}

/// The state at one moment.
#[derive(Debug, Serialize, Template)]
#[template(path = "status.html")]
#[serde(rename_all = "camelCase")]
pub(super) struct Status {
    at: String,
    version: &'static str,
    release: String,
    replica: String,
    leads: bool,
    leader: Option<String>,
    config: ConfigStatus,
    /// How many copies are wanted, and how many of them are up to date.
    wanted: u64,
    fresh: u64,
    prune_held: bool,
    registries: Vec<RegistryNow>,
    secrets: Vec<SecretStatus>,
    /// The copies that are not up to date, as far as they are listed.
    copies: Vec<CopyStatus>,
    /// How many others there are.
    not_shown: u64,
    #[serde(skip)]
    states: Vec<&'static str>,
    #[serde(skip)]
    style: &'static str,
}

#[derive(Debug, Serialize)]
struct ConfigStatus {
    /// Whether the file was valid when it was last read.
    accepted: bool,
    /// When the config that is in use was read.
    since: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct SecretStatus {
    name: String,
    /// By state.
    counts: Vec<(&'static str, u64)>,
    /// The first expiry of a copy.
    expires: String,
}

#[derive(Debug, Serialize)]
struct CopyStatus {
    namespace: String,
    secret: String,
    state: &'static str,
    why: String,
}

impl Status {
    /// The state by a report of the engine.
    pub(super) fn new(about: &About, metrics: &Metrics, report: &Report) -> Self {
        let now = about.clock.wall();
        let ConfigState { is_valid: accepted, since } = metrics.config();
        let (wanted, fresh) = (report.copies(), report.count(CopyState::Fresh));
        let mut copies: Vec<_> = report.secrets.iter().flat_map(not_fresh).collect();
        copies.truncate(MOST_COPIES);
        let states = CopyState::VARIANTS.iter().map(|state| state.as_str()).chain([UNWANTED]);
        Self {
            at: words::moment(now),
            version: env!("CARGO_PKG_VERSION"),
            release: about.release.id().to_owned(),
            replica: about.replica.clone(),
            leads: metrics.leads(),
            leader: about.leader.borrow().clone(),
            config: ConfigStatus { accepted, since: words::moment(since) },
            wanted,
            fresh,
            prune_held: report.is_prune_held,
            registries: metrics.registries().into_iter().map(|it| it.at(now)).collect(),
            secrets: report.secrets.iter().map(SecretStatus::new).collect(),
            not_shown: (wanted - fresh).saturating_sub(copies.len() as u64),
            copies,
            states: states.collect(),
            style: STYLE,
        }
    }
}

impl SecretStatus {
    fn new(secret: &SecretReport) -> Self {
        let counts = CopyState::VARIANTS.iter().zip(&secret.counts);
        let counts = counts.map(|(state, &count)| (state.as_str(), count));
        Self {
            name: secret.name.clone(),
            counts: counts.chain([(UNWANTED, secret.unwanted)]).collect(),
            expires: secret.earliest_expiration.map_or_else(|| "-".to_owned(), words::moment),
        }
    }
}

/// The copies that are not up to date, and why.
fn not_fresh(secret: &SecretReport) -> impl Iterator<Item = CopyStatus> {
    let copies = secret.copies.iter().filter(|copy| copy.state != CopyState::Fresh);
    copies.map(|copy| CopyStatus {
        namespace: copy.namespace.to_string(),
        secret: secret.name.clone(),
        state: copy.state.as_str(),
        why: why(copy),
    })
}

fn why(copy: &CopyReport) -> String {
    let mut text = match (&copy.failure, &copy.release) {
        (_, Some(release)) => format!("the release {release} keeps the Secret"),
        (Some(repeated), None) => {
            format!("{}: {}", repeated.failure.reason, repeated.failure.message)
        }
        (None, None) if copy.state == CopyState::Conflict => "a foreign Secret".to_owned(),
        (None, None) => "-".to_owned(),
    };
    text.truncate(text.floor_char_boundary(LONGEST_REASON));
    text
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use ecr_refresher_core::{
        Random,
        tokens::{Registry, SharedTokenStore, TokenStore},
    };
    use ecr_refresher_sync::{
        job::failure::{RepeatedFailure, WriteFailure, WriteReason},
        leadership::{Leadership, LeadershipState},
        report::Counts,
    };
    use jiff::Timestamp;

    use super::*;

    fn clock() -> Clock {
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        Clock::new(move || at, || Duration::ZERO)
    }

    fn secret(copies: usize) -> SecretReport {
        let mut counts = [0; CopyState::VARIANTS.len()];
        counts[CopyState::Fresh as usize] = 10_000;
        counts[CopyState::Failed as usize] = copies as u64;
        let failure = WriteFailure {
            reason: WriteReason::Forbidden,
            message: format!("<script>alert(1)</script>{}", "é".repeat(400)),
            retry_after: None,
        };
        let failure =
            Arc::new(RepeatedFailure { failure, count: 1, is_new: true, delay: Duration::ZERO });
        let copy = |number| CopyReport {
            namespace: format!("team-{number}").into(),
            state: CopyState::Failed,
            expires_at: None,
            release: None,
            failure: Some(Arc::clone(&failure)),
        };
        SecretReport {
            name: "ecr-pull".to_owned(),
            counts,
            earliest_expiration: Some(Timestamp::from_second(1_800_030_000).unwrap()),
            patterns: Vec::new(),
            conflicts: Counts::new(),
            contested: Counts::new(),
            unwanted: 7,
            unselected: None,
            copies: (0..copies).map(copy).collect(),
        }
    }

    fn status(leadership: Leadership, copies: usize) -> Status {
        let mut store = TokenStore::new(Random::from_seed(1));
        store.want(vec![Registry::file("hub".into(), "/file".into())], 0.5, clock().now());
        let store = SharedTokenStore::new(store);
        let config = ConfigState { is_valid: true, since: clock().wall() };
        let config = watch::channel(config).1;
        let metrics = Metrics::register(leadership, store, config).unwrap();
        let about = About {
            release: Release::new("home", "ours"),
            replica: "ours-0".to_owned(),
            leader: watch::channel(Some("ours-1".to_owned())).1,
            clock: clock(),
        };
        let report = Report { secrets: vec![secret(copies)], ..Report::default() };
        Status::new(&about, &metrics, &report)
    }

    #[test]
    fn the_page_of_a_leader_shows_the_fleet_and_stays_small() {
        let status = status(Leadership::always(clock()), 5_000);
        let page = status.render().unwrap();
        assert!(page.contains("10000 of 15000 copies are fresh"), "{page}");
        assert!(page.contains("<td>team-0<td>ecr-pull<td>failed<td>forbidden: "), "{page}");
        assert!(page.contains("<td>hub<td class=\"bad\">no token<td>-</tr>"), "{page}");
        assert!(page.contains("and 4900 more") && page.len() < 100_000, "{}", page.len());
        assert!(!page.contains("<script") && page.contains("&#60;script&#62;"), "it is escaped");
        let json = serde_json::to_value(&status).unwrap();
        assert_eq!((&json["fresh"], &json["notShown"]), (&10_000.into(), &4_900.into()));
        assert_eq!(json["copies"].as_array().unwrap().len(), MOST_COPIES);
    }

    #[test]
    fn a_follower_says_who_leads() {
        let (_, state) = watch::channel(LeadershipState::Follower);
        let page = status(Leadership::new(state, clock()), 0).render().unwrap();
        assert!(page.contains("ours-0, does not lead. <strong>ours-1</strong> leads"), "{page}");
        assert!(!page.contains("copies are fresh"), "{page}");
    }

    #[test]
    fn only_the_style_of_the_page_is_allowed() {
        let page = status(Leadership::always(clock()), 0).render().unwrap();
        let (_, rest) = page.split_once("<style>").unwrap();
        let (style, rest) = rest.split_once("</style>").unwrap();
        let hash = STANDARD.encode(Sha256::digest(style.as_bytes()));
        assert!(CONTENT_SECURITY_POLICY.contains(&format!("style-src 'sha256-{hash}'")));
        assert!(
            !rest.contains("style=") && !rest.contains("http://") && !rest.contains("https://")
        );
        assert!(page.contains("All copies are fresh."), "{page}");
    }
}
