//! The demo on a terminal: a table that lives on after the last step, until Ctrl-C.

use std::convert::Infallible;
use std::time::Duration;

use anyhow::Result;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::Ending;
use super::frame::{self, Text};
use super::interrupt::Interrupt;
use super::line::{Line, Tone};
use super::screen::{Screen, Size};
use super::snapshot::Snapshot;
use super::stage::{LEADER, SECRET, Stage, TOKEN_LIFE};
use super::steps;
use super::story::Story;

/// How often the table is drawn.
const PERIOD: Duration = Duration::from_millis(500);
/// How long an API server may take to answer before the table says so.
const PATIENCE: Duration = Duration::from_secs(3);
/// Between two steps, and before what a step shows goes again, so that one can follow.
const PAUSE: Duration = Duration::from_secs(2);

/// What is left on the terminal's first screen has room for everything.
const UNLIMITED: Size = Size { columns: usize::MAX, rows: usize::MAX };

/// Runs the steps under a live table, and goes on with the table until there is an interrupt.
pub(crate) async fn show(stage: &Stage, interrupt: &mut Interrupt) -> Result<Ending> {
    let story = Story::drawn();
    let mut view = View { stage, story: &story, last: Snapshot::take(stage).await?, problem: None };
    let mut screen = Screen::enter()?;
    let played = async {
        steps::run(stage, &story, PAUSE).await?;
        std::future::pending::<Result<Infallible>>().await
    };
    let ended = tokio::select! {
        biased;
        () = interrupt.comes() => Ok(Ending::Interrupted),
        failed = played => failed.map(|never| match never {}),
        failed = view.draw(&mut screen) => failed.map(|never| match never {}),
    };
    drop(screen);
    // The last picture stays, without what cannot be reached any more.
    let text = Text { hints: Vec::new(), ..view.text() };
    for line in frame::compose(&view.last, text, UNLIMITED) {
        println!("{}", line.plain());
    }
    ended
}

/// What is drawn.
struct View<'a> {
    stage: &'a Stage,
    story: &'a Story,
    last: Snapshot,
    problem: Option<String>,
}

impl View<'_> {
    async fn draw(&mut self, screen: &mut Screen) -> Result<Infallible> {
        let mut ticks = interval(PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.pause().await;
            let size = screen.size();
            screen.draw(&frame::compose(&self.last, self.text(), size))?;
        }
    }

    /// Takes a snapshot, or else says why the last one is an old one.
    async fn pause(&mut self) {
        self.problem = match timeout(PATIENCE, Snapshot::take(self.stage)).await {
            Ok(Ok(snapshot)) => {
                self.last = snapshot;
                None
            }
            Ok(Err(error)) => Some(format!("The table is not up to date: {error:#}")),
            Err(_) => Some("The table is not up to date: the API server does not answer".into()),
        };
    }

    fn text(&self) -> Text {
        Text {
            title: format!(
                "ecr-refresher on Kubernetes {}, with a fake AWS that issues tokens for {} s",
                self.stage.control_plane().version(),
                TOKEN_LIFE.as_secs()
            ),
            steps: self.story.lines(),
            hints: hints(self.stage),
            problem: self.problem.clone(),
        }
    }
}

/// How to reach it all from another terminal.
fn hints(stage: &Stage) -> Vec<Line> {
    let kubeconfig = stage.control_plane().admin_kubeconfig().display();
    let mut commands = vec![format!(
        "kubectl --kubeconfig {kubeconfig} get secrets -A --field-selector metadata.name={SECRET}"
    )];
    commands.extend(stage.address(LEADER).map(|address| format!("curl http://{address}/metrics")));
    commands.extend(stage.log_path(LEADER).map(|log| format!("tail -f {}", log.display())));
    let lines = commands.into_iter().map(|command| Line::new(Tone::Plain, command).whole());
    lines.chain([Line::new(Tone::Faint, "Ctrl-C stops everything.")]).collect()
}
