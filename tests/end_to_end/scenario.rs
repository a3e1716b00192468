//! A scenario is an asynchronous function with a sentence for a name; the stage is what it runs on.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use ecr_refresher_tests::{control_plane::ControlPlane, node::Nodes, tools::Tool};
use futures::FutureExt;
use futures::future::LocalBoxFuture;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

type Run = Box<dyn FnOnce(Arc<Stage>) -> LocalBoxFuture<'static, Result<()>> + Send>;

/// What waits for something in a scenario has a deadline of its own: this is for what hangs.
const LIMIT: Duration = Duration::from_mins(5);

/// One test.
pub(crate) struct Scenario {
    name: &'static str,
    needs: &'static [Tool],
    on_nodes: bool,
    run: Run,
}

impl Scenario {
    /// A scenario on the control plane that all share: it keeps to namespaces of its own.
    pub(crate) fn new<F, T>(name: &'static str, test: T) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
        T: FnOnce(Arc<ControlPlane>) -> F + Send + 'static,
    {
        let run: Run =
            Box::new(|stage| async move { test(stage.control_plane().await?).await }.boxed_local());
        Self { name, needs: &[], on_nodes: false, run }
    }

    /// A scenario that needs no control plane.
    pub(crate) fn apart<F, T>(name: &'static str, test: T) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
        T: FnOnce() -> F + Send + 'static,
    {
        let run: Run = Box::new(|_| in_time(test()).boxed_local());
        Self { name, needs: &[], on_nodes: false, run }
    }

    /// A scenario on the nodes that all share, which are those of the shared control plane.
    pub(crate) fn on_nodes<F, T>(name: &'static str, test: T) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
        T: FnOnce(Arc<ControlPlane>, Arc<Nodes>) -> F + Send + 'static,
    {
        let run: Run = Box::new(|stage| {
            async move {
                let control_plane = stage.control_plane().await?;
                let nodes = stage.nodes().await?;
                in_time(test(control_plane, nodes)).await
            }
            .boxed_local()
        });
        Self { name, needs: &[], on_nodes: true, run }
    }

    /// A scenario that starts a control plane for itself, because it disturbs it.
    pub(crate) fn alone<F, T>(name: &'static str, test: T) -> Self
    where
        F: Future<Output = Result<()>> + 'static,
        T: FnOnce(ControlPlane) -> F + Send + 'static,
    {
        let run: Run = Box::new(|stage| {
            async move {
                let control_plane = ControlPlane::start().await?;
                stage.saw(&control_plane);
                in_time(test(control_plane)).await
            }
            .boxed_local()
        });
        Self { name, needs: &[], on_nodes: false, run }
    }

    /// The scenario, which needs these tools besides those of the control plane.
    pub(crate) fn needing(self, needs: &'static [Tool]) -> Self {
        Self { needs, ..self }
    }

    /// Why the scenario cannot run here.
    pub(crate) fn missing(&self) -> Option<String> {
        let tool = || self.needs.iter().try_for_each(|tool| tool.obtainable());
        let nodes = || if self.on_nodes { Nodes::obtainable() } else { Ok(()) };
        let reason = tool().and_then(|()| nodes()).err()?;
        Some(format!("{reason:#}"))
    }

    /// The scenario as a test of the harness.
    pub(crate) fn on(self, stage: &Arc<Stage>) -> Trial {
        let stage = Arc::clone(stage);
        Trial::test(self.name, move || {
            let scenario = (self.run)(Arc::clone(&stage));
            stage.runtime.block_on(scenario).map_err(|error| Failed::from(format!("{error:#}")))
        })
    }
}

async fn in_time(test: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::time::timeout(LIMIT, test)
        .await
        .with_context(|| format!("the test still ran after {LIMIT:?}"))?
}

/// One that did not start would not do so for the next test either.
type Shared<T> = OnceCell<Result<Arc<T>, String>>;

/// What scenarios run on: one runtime, one control plane that starts with the first that needs it,
/// and likewise its nodes.
pub(crate) struct Stage {
    runtime: Runtime,
    // Dropped in this order: nodes need their control plane.
    nodes: Shared<Nodes>,
    control_plane: Shared<ControlPlane>,
    version: Mutex<Option<String>>,
}

impl Stage {
    /// Starts only the threads of the runtime.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self {
            runtime: Runtime::new()?,
            nodes: OnceCell::new(),
            control_plane: OnceCell::new(),
            version: Mutex::default(),
        })
    }

    async fn control_plane(&self) -> Result<Arc<ControlPlane>> {
        let started = self.control_plane.get_or_init(|| async {
            let control_plane = start().await.map_err(|error| format!("{error:?}"))?;
            self.saw(&control_plane);
            Ok(Arc::new(control_plane))
        });
        started.await.clone().map_err(anyhow::Error::msg)
    }

    async fn nodes(&self) -> Result<Arc<Nodes>> {
        let control_plane = self.control_plane().await?;
        let started = self.nodes.get_or_init(|| async {
            let nodes = start_nodes(&control_plane).await.map_err(|error| format!("{error:?}"))?;
            Ok(Arc::new(nodes))
        });
        started.await.clone().map_err(anyhow::Error::msg)
    }

    fn saw(&self, control_plane: &ControlPlane) {
        let mut version = self.version.lock().unwrap_or_else(PoisonError::into_inner);
        version.get_or_insert_with(|| control_plane.version().to_owned());
    }

    /// Stops the control plane; the version of the API server, if there was one.
    pub(crate) fn end(self: Arc<Self>) -> Option<String> {
        // All tests have returned, so this is the last reference: it drops the control plane.
        Arc::into_inner(self)?.version.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn start() -> Result<ControlPlane> {
    println!("starting a control plane");
    let start = Instant::now();
    let control_plane = ControlPlane::start().await?;
    println!("started it in {:.1} s", start.elapsed().as_secs_f64());
    Ok(control_plane)
}

async fn start_nodes(control_plane: &ControlPlane) -> Result<Nodes> {
    println!("starting nodes");
    let start = Instant::now();
    let nodes = Nodes::start(control_plane).await?;
    println!("started the nodes in {:.1} s", start.elapsed().as_secs_f64());
    Ok(nodes)
}
