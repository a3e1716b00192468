//! An explanation for people.

use std::fmt::Write;

use super::{About, Explanation};

impl Explanation {
    /// A line on the namespace, and some on each pull Secret.
    pub(super) fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.namespace, self.presence());
        for About { secret, config, copy, last_event, .. } in &self.secrets {
            // Writing to a String never fails.
            let _ = writeln!(text, "\n{secret}\n  config   {config}");
            if let Some(copy) = copy {
                let _ = writeln!(text, "  copy     {}", copy.words(self.at));
            }
            if let Some(event) = last_event {
                let _ = writeln!(text, "  event    {}", event.words(self.at));
            }
        }
        text
    }

    fn presence(&self) -> String {
        if !self.exists {
            return "there is no such namespace".to_owned();
        }
        if self.terminating {
            return "the namespace is being deleted, so nothing is written to it".to_owned();
        }
        let labels: Vec<_> =
            self.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if labels.is_empty() {
            "the namespace exists".to_owned()
        } else {
            format!("the namespace exists, with {}", labels.join(", "))
        }
    }
}
