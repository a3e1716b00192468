//! The steps that were shown: plan, observations and result of each.

use std::cell::RefCell;
use std::time::Instant;

use super::line::{Line, Tone};

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    steps: RefCell<Vec<StepShown>>,
    is_printed: bool,
}

#[derive(Debug)]
struct StepShown {
    title: &'static str,
    /// Its work.
    plan: &'static str,
    began: Instant,
    /// Its observations.
    notes: Vec<Line>,
    /// Its result, once it is done.
    outcome: Option<String>,
}

impl Story {
    /// A story to be drawn, by [`Story::lines`].
    pub(crate) fn drawn() -> Self {
        Self::default()
    }

    /// A story that is printed as it goes.
    pub(crate) fn printed() -> Self {
        Self { is_printed: true, ..Self::default() }
    }

    /// A step begins.
    pub(crate) fn begin(&self, title: &'static str, plan: &'static str) {
        let step =
            StepShown { title, plan, began: Instant::now(), notes: Vec::new(), outcome: None };
        self.print(&step.headline());
        self.fold();
        self.steps.borrow_mut().push(step);
    }

    /// Removes the observations of the last step.
    pub(crate) fn fold(&self) {
        if let Some(step) = self.steps.borrow_mut().last_mut() {
            step.notes.clear();
        }
    }

    /// Adds an observation to the last step.
    pub(crate) fn note(&self, text: String) {
        if let Some(step) = self.steps.borrow_mut().last_mut() {
            let note = step.timed(text);
            self.print(&note);
            step.notes.push(note);
        }
    }

    /// The last step still waits. A drawn story shows that already.
    pub(crate) fn still(&self, what: &str) {
        if let Some(step) = self.steps.borrow().last() {
            self.print(&step.timed(format!("still waiting for {what}")));
        }
    }

    /// The last step is done.
    pub(crate) fn done(&self, outcome: String) {
        if let Some(step) = self.steps.borrow_mut().last_mut() {
            self.print(&Line::new(Tone::Good, format!("✓ {outcome}")));
            step.outcome = Some(outcome);
        }
    }

    /// A line for each step that has begun, with the observations of the last one.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let steps = self.steps.borrow();
        let lines = steps.iter().flat_map(|step| [vec![step.headline()], step.notes.clone()]);
        lines.flatten().collect()
    }

    fn print(&self, line: &Line) {
        if self.is_printed {
            println!("{}", line.plain());
        }
    }
}

impl StepShown {
    fn headline(&self) -> Line {
        match &self.outcome {
            Some(outcome) => Line::new(Tone::Good, "✓ ")
                .and(Tone::Strong, self.title)
                .and(Tone::Plain, format!(": {outcome}")),
            None => Line::new(Tone::Warning, "… ")
                .and(Tone::Strong, self.title)
                .and(Tone::Plain, format!(": {}", self.plan))
                .whole(),
        }
    }

    fn timed(&self, text: String) -> Line {
        let seconds = self.began.elapsed().as_secs_f64();
        Line::new(Tone::Faint, format!("{seconds:>6.1} s  ")).and(Tone::Plain, text).whole()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_printed_when_it_begins_and_when_it_is_done() {
        let story = Story::drawn();
        story.begin("one", "copies are made");
        story.note("it starts".to_owned());
        story.done("three copies".to_owned());
        story.begin("two", "a copy goes");
        story.still("the copy to go");
        story.note("it is gone".to_owned());
        let lines: Vec<_> = story.lines().iter().map(Line::plain).collect();
        let expected = ["✓ one: three copies", "… two: a copy goes", "   0.0 s  it is gone"];
        assert_eq!(lines, expected);
        story.fold();
        assert_eq!(story.lines().len(), 2);
    }
}
