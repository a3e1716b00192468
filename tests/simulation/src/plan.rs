//! The config that is in force, as a model, and what it wants.

use std::{collections::BTreeSet, fmt::Write};

use crate::aws::ACCOUNT;

/// Where the docker config file is.
pub const FILE: &str = "/etc/ecr-refresher/hub.json";
/// The account of the role.
pub const ROLE_ACCOUNT: &str = "999999999999";

/// A config.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct Plan {
    /// Which of [`REGISTRIES`] there are.
    pub registries: [bool; 5],
    /// The region of the first registry.
    pub region: &'static str,
    /// Whether the first registry has the hosts of two accounts.
    pub accounts: bool,
    /// The session name of the role.
    pub session: &'static str,
    /// The pull Secrets.
    pub secrets: [SecretPlan; 2],
    /// Whether copies that are no longer wanted are deleted.
    pub prunes: bool,
    /// The longest spread, in seconds.
    pub spread: u32,
    /// Whether there is leader election.
    pub election: bool,
    /// Whether its times are four times the default ones: most requests are renewals of the Lease.
    pub slow_lease: bool,
}

/// A pull Secret of a config.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct SecretPlan {
    /// Whether it is there.
    pub present: bool,
    /// Which registries it has; those that are not there do not count. None of them: all.
    pub registries: [bool; 5],
    /// The allow-list, as an index of [`PATTERNS`].
    pub patterns: usize,
    /// Whether only namespaces with `tier: prod` count.
    pub selects: bool,
    /// The ServiceAccounts, as an index of [`ACCOUNTS`].
    pub accounts: usize,
    /// Whether foreign Secrets are taken over.
    pub adopts: bool,
    /// Whether the copies carry a label.
    pub label: bool,
}

/// The names of the registries: ECR, ECR of another region, ECR Public, a role's, and a file.
pub const REGISTRIES: [&str; 5] = ["main", "other", "gallery", "role", "hub"];
/// The names of the pull Secrets.
pub const SECRETS: [&str; 2] = ["ecr-pull", "hub-pull"];
/// The allow-lists: the patterns, and what is denied.
pub const PATTERNS: [(&str, &str); 4] = [
    (r#"["team-*"]"#, "[]"),
    (r#"["team-[0-4]"]"#, "[]"),
    (r#"["team-*", other]"#, "[team-3]"),
    (r#"["team-{0,5,7}*"]"#, "[]"),
];
/// The lists of ServiceAccounts.
pub const ACCOUNTS: [&[&str]; 3] = [&[], &["default"], &["builder"]];
/// How long a copy that is no longer wanted is kept.
pub const GRACE: std::time::Duration = std::time::Duration::from_mins(2);

impl Default for Plan {
    fn default() -> Self {
        let secret = SecretPlan {
            present: true,
            registries: [false; 5],
            patterns: 0,
            selects: false,
            accounts: 0,
            adopts: false,
            label: false,
        };
        Self {
            registries: [true, true, false, false, false],
            region: "eu-west-1",
            accounts: false,
            session: "ecr-refresher",
            secrets: [secret.clone(), SecretPlan { present: false, ..secret }],
            prunes: true,
            spread: 300,
            election: true,
            slow_lease: false,
        }
    }
}

impl Plan {
    /// The config file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = "registries:\n".to_owned();
        for registry in self.present() {
            let name = REGISTRIES[registry];
            let kind = match registry {
                0 => {
                    let accounts =
                        if self.accounts { "[\"111111111111\", \"222222222222\"]" } else { "[]" };
                    format!("ecr: {{ region: {}, accounts: {accounts} }}", self.region)
                }
                1 => "ecr: { region: us-east-1 }".to_owned(),
                2 => "ecrPublic: {}".to_owned(),
                3 => format!(
                    "ecr: {{ region: eu-west-1, assumeRole: {{ roleArn: \"arn:aws:iam::{ROLE_ACCOUNT}:role/puller\", sessionName: {} }} }}",
                    self.session
                ),
                _ => format!("file: {{ path: {FILE} }}"),
            };
            let _ = writeln!(text, "  - {{ name: {name}, {kind} }}");
        }
        text += "secrets:\n";
        for (secret, name) in self.secrets.iter().zip(SECRETS).filter(|(secret, _)| secret.present)
        {
            let (allow, deny) = PATTERNS[secret.patterns];
            let selector =
                if secret.selects { ", selector: { matchLabels: { tier: prod } }" } else { "" };
            let _ = writeln!(text, "  - name: {name}");
            let _ = writeln!(text, "    namespaces: {{ allow: {allow}, deny: {deny}{selector} }}");
            let names: Vec<_> =
                self.registries_of(secret).into_iter().map(|it| REGISTRIES[it]).collect();
            let _ = writeln!(text, "    registries: [{}]", names.join(", "));
            let _ =
                writeln!(text, "    serviceAccounts: [{}]", ACCOUNTS[secret.accounts].join(", "));
            let conflict = if secret.adopts { "adopt" } else { "skip" };
            let _ = writeln!(text, "    onConflict: {conflict}");
            if secret.label {
                text += "    labels: { example.com/tier: prod }\n";
            }
        }
        let Self { prunes, spread, election, slow_lease, .. } = self;
        let grace = GRACE.as_secs();
        let _ = writeln!(text, "refresh: {{ spread: {spread}s }}");
        let _ = writeln!(text, "prune: {{ enabled: {prunes}, after: {grace}s }}");
        let times = if *slow_lease {
            ", leaseDuration: 60s, renewDeadline: 40s, retryPeriod: 8s"
        } else {
            ""
        };
        let _ = writeln!(text, "leaderElection: {{ enabled: {election}{times} }}");
        text
    }

    /// The registries that are there; at least one.
    fn present(&self) -> Vec<usize> {
        let present: Vec<_> = (0..5).filter(|&it| self.registries[it]).collect();
        if present.is_empty() { vec![0] } else { present }
    }

    fn registries_of(&self, secret: &SecretPlan) -> Vec<usize> {
        let present = self.present();
        let used: Vec<_> = present.iter().copied().filter(|&it| secret.registries[it]).collect();
        if used.is_empty() { present } else { used }
    }

    /// Whether a registry is a file, for the hosts of a pull Secret.
    #[must_use]
    pub fn uses_file(&self, secret: usize) -> bool {
        self.registries_of(&self.secrets[secret]).contains(&4)
    }

    /// The hosts of ECR that the copies of a pull Secret should have.
    #[must_use]
    pub fn ecr_hosts(&self, secret: usize) -> BTreeSet<String> {
        let registries = self.registries_of(&self.secrets[secret]);
        registries.into_iter().flat_map(|registry| self.hosts_of(registry)).collect()
    }

    fn hosts_of(&self, registry: usize) -> Vec<String> {
        let host =
            |account: &str, region: &str| format!("{account}.dkr.ecr.{region}.amazonaws.com");
        match registry {
            0 if self.accounts => {
                vec![host("111111111111", self.region), host("222222222222", self.region)]
            }
            0 => vec![host(ACCOUNT, self.region)],
            1 => vec![host(ACCOUNT, "us-east-1")],
            2 => vec!["public.ecr.aws".to_owned(), "ecr-public.aws.com".to_owned()],
            3 => vec![host(ROLE_ACCOUNT, "eu-west-1")],
            _ => Vec::new(),
        }
    }

    /// Whether a namespace should have a copy of a pull Secret.
    #[must_use]
    pub fn wants(&self, secret: usize, namespace: &str, tier: Option<&str>) -> bool {
        let plan = &self.secrets[secret];
        let team = namespace.strip_prefix("team-");
        let matches = match plan.patterns {
            0 => team.is_some(),
            1 => team.is_some_and(|team| team.len() == 1 && "01234".contains(team)),
            2 => (team.is_some() || namespace == "other") && team != Some("3"),
            _ => team.is_some_and(|team| team.starts_with(['0', '5', '7'])),
        };
        plan.present && matches && (!plan.selects || tier == Some("prod"))
    }

    /// How many different calls of AWS its registries need.
    #[must_use]
    pub fn sources(&self) -> usize {
        self.present().into_iter().filter(|&it| it != 4).count()
    }
}
