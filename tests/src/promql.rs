//! What Prometheus' expressions are about.

/// The selectors of an expression: each metric's name, and what is in its braces.
#[must_use]
pub fn selectors(expression: &str) -> Vec<(&str, &str)> {
    let opened = expression.match_indices('{');
    let selector = opened.filter_map(|(brace, _)| {
        let (before, after) = expression.split_at(brace);
        let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let metric = before.rsplit(|letter| !is_name(letter)).next()?;
        Some((metric, after[1..].split_once('}')?.0))
    });
    selector.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_metric_has_its_matchers() {
        let expression = "sum(rate(a_total{x=\"1\"}[5m])) / b{y=~\"2|3\"}";
        assert_eq!(selectors(expression), [("a_total", "x=\"1\""), ("b", "y=~\"2|3\"")]);
    }
}
