//! A fake of AWS on loopback: ECR, ECR Public and STS, in the wire protocols of the official SDKs, and
//! in front of a real registry the registries that take their tokens.
//!
//! Each test starts its own and points the SDK's `endpoint_url` (or `AWS_ENDPOINT_URL`) at it:
//!
//! ```no_run
//! # use std::time::Duration;
//! # use ecr_refresher_tests::fake_aws::{FakeAws, Fault, Operation};
//! # async fn example() -> anyhow::Result<()> {
//! let aws = FakeAws::start().await?;
//! aws.set_token_life(Duration::from_secs(5));
//! aws.fail_next(2, Fault::ServerError(503));
//! // … run what is under test against `aws.endpoint()` …
//! assert_eq!(aws.count(Operation::GetAuthorizationToken), 3);
//! # Ok(())
//! # }
//! ```
//!
//! Every issued token stays valid until its own expiry, beside later ones, as with ECR. Signatures
//! must be there and well-formed; they are not verified.

mod ecr;
mod fault;
mod identity;
mod metadata;
mod operation;
mod password;
mod problem;
mod registry;
#[cfg(test)]
mod sdk_tests;
mod server;
mod signature;
mod state;
mod sts;
mod tokens;
mod wire;
mod xml;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use self::ecr::{SECOND_ACCOUNT, registry_host};
pub use self::fault::{Fault, Rule};
pub use self::identity::{DEFAULT_ACCOUNT, DEFAULT_ARN, Identity};
pub use self::metadata::POD_IDENTITY_PATH;
pub use self::operation::{Operation, Service};
pub use self::password::{PASSWORD_MARKER, TOKEN_MARKER, leak_needles, leaks_password};
pub use self::registry::RegistryRequest;
pub use self::state::Call;
pub use self::tokens::{IssuedToken, Verdict};

use self::metadata::PodIdentity;
use self::state::State;
use self::tokens::Registry;

/// A running fake. It stops when dropped.
pub struct FakeAws {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: JoinHandle<()>,
}

impl FakeAws {
    /// Starts one on a free port of loopback.
    ///
    /// # Errors
    ///
    /// Fails where no port can be had.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .context("no port for the fake AWS")?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State::default()));
        let server = tokio::spawn(server::serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL for the SDK's `endpoint_url`, for all services alike.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Sets the life of tokens issued from now on; 12 hours at first.
    pub fn set_token_life(&self, life: Duration) {
        self.lock().token_life = life;
    }

    /// Sets the life of sessions that STS gives out from now on, whatever a client asks for.
    pub fn set_session_life(&self, life: Duration) {
        self.lock().sts.session_life = Some(life);
    }

    /// Sets the owner of an access key. All others belong to [`DEFAULT_ARN`].
    pub fn add_identity(
        &self,
        access_key_id: impl Into<String>,
        account: impl Into<String>,
        arn: impl Into<String>,
    ) {
        let identity = Identity::new(account, arn);
        self.lock().identities.add(access_key_id.into(), identity);
    }

    /// Has `AssumeRole` refuse the role without this external id.
    pub fn require_external_id(&self, role_arn: impl Into<String>, id: impl Into<String>) {
        self.lock().sts.external_ids.insert(role_arn.into(), id.into());
    }

    /// Has EKS Pod Identity's agent, at [`POD_IDENTITY_PATH`], know a Pod by `token` and give it
    /// credentials of the role.
    pub fn serve_pod_identity(&self, role_arn: impl Into<String>, token: impl Into<String>) {
        let identity = PodIdentity { role: role_arn.into(), token: token.into() };
        self.lock().metadata.pod = Some(identity);
    }

    /// Has EC2's metadata, version 2 alone, give credentials of the role.
    pub fn serve_instance_metadata(&self, role_arn: impl Into<String>) {
        self.lock().metadata.machine = Some(role_arn.into());
    }

    /// The fault for every request until [healed](Self::heal).
    pub fn fail_with(&self, fault: Fault) {
        self.fail(Rule::always(fault));
    }

    /// The fault for the next `count` requests. Each of an SDK's retries is a request.
    pub fn fail_next(&self, count: usize, fault: Fault) {
        self.fail(Rule::next(count, fault));
    }

    /// A fault for some requests only. Of several that fit a request, the newest befalls it.
    pub fn fail(&self, rule: Rule) {
        self.lock().faults.add(rule);
    }

    /// Ends all faults. A request that hangs already goes on hanging.
    pub fn heal(&self) {
        self.lock().faults.clear();
    }

    /// Whether some registry would take the password now.
    #[must_use]
    pub fn accepts(&self, password: &str) -> bool {
        self.lock().tokens.accepts(password, Timestamp::now())
    }

    /// What the private registry of that account and region says to a user name and a password.
    #[must_use]
    pub fn verdict(&self, account: &str, region: &str, user: &str, password: &str) -> Verdict {
        let registry = Registry::Private { account, region };
        self.lock().tokens.verdict(registry, user, password, Timestamp::now())
    }

    /// What ECR Public's registry says to a user name and a password.
    #[must_use]
    pub fn public_verdict(&self, user: &str, password: &str) -> Verdict {
        self.lock().tokens.verdict(Registry::Public, user, password, Timestamp::now())
    }

    /// Has the registries pass on to a real one what comes with a token that is good.
    pub fn front(&self, registry: SocketAddr) {
        self.lock().registry = Some(registry);
    }

    /// All requests to registries so far, the oldest first: refused ones too.
    #[must_use]
    pub fn registry_requests(&self) -> Vec<RegistryRequest> {
        self.lock().registry_requests.clone()
    }

    /// All tokens issued so far, the oldest first.
    #[must_use]
    pub fn issued(&self) -> Vec<IssuedToken> {
        self.lock().tokens.issued().to_vec()
    }

    /// The password of the newest token.
    #[must_use]
    pub fn latest_password(&self) -> Option<String> {
        self.lock().tokens.issued().last().map(|token| token.password.clone())
    }

    /// Ends every token now. AWS cannot do this; a test that has no time to wait can.
    pub fn revoke_all(&self) {
        self.lock().tokens.revoke_all(Timestamp::now());
    }

    /// All requests so far, the oldest first: refused, spoilt and unanswered ones too.
    #[must_use]
    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// How many requests there were for an operation, whatever became of them.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        self.lock().calls.iter().filter(|call| call.operation == operation).count()
    }

    /// Forgets the calls so far, so that counters start from zero. Tokens stay.
    pub fn forget_calls(&self) {
        self.lock().calls.clear();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        server::lock(&self.state)
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        self.server.abort();
    }
}
