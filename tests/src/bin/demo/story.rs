//! The steps as they are told: one line each.

use std::cell::RefCell;

use super::line::{Line, Tone};

/// What has been told so far.
#[derive(Debug, Default)]
pub(crate) struct Story {
    steps: RefCell<Vec<Told>>,
    is_printed: bool,
}

#[derive(Debug)]
struct Told {
    title: &'static str,
    /// What came of it, once it is done.
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
    pub(crate) fn begin(&self, title: &'static str) {
        self.steps.borrow_mut().push(Told { title, outcome: None });
    }

    /// The step that began last is done.
    pub(crate) fn done(&self, outcome: String) {
        if let Some(step) = self.steps.borrow_mut().last_mut() {
            step.outcome = Some(outcome);
            if self.is_printed {
                println!("{}", step.line().plain());
            }
        }
    }

    /// A line for each step that has begun.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.steps.borrow().iter().map(Told::line).collect()
    }
}

impl Told {
    fn line(&self) -> Line {
        match &self.outcome {
            Some(outcome) => Line::new(Tone::Good, "✓ ")
                .and(Tone::Strong, self.title)
                .and(Tone::Plain, format!(": {outcome}")),
            None => Line::new(Tone::Warning, "… ").and(Tone::Strong, self.title),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_told_when_it_begins_and_again_when_it_is_done() {
        let story = Story::drawn();
        story.begin("one");
        story.done("three copies".to_owned());
        story.begin("two");
        let lines: Vec<_> = story.lines().iter().map(Line::plain).collect();
        assert_eq!(lines, ["✓ one: three copies", "… two"]);
    }
}
