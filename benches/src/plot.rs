//! The rows as a plot: how much of each bound is used. An SVG by hand, as it has bars and text only.

use std::fmt::Write;

use crate::row::{Bound, Row};

const WIDTH: f64 = 1080.0;
const LINE: f64 = 22.0;
const TOP: f64 = 50.0;
/// Where the bars begin, and how long one is that uses its whole bound.
const LEFT: f64 = 370.0;
const WHOLE: f64 = 400.0;
/// No bar is longer, as a share of the bound.
const LONGEST: f64 = 1.25;

/// Draws the rows that have a bound to be under.
pub(crate) fn draw(title: &str, rows: &[Row]) -> String {
    let bars: Vec<_> = rows.iter().filter_map(|row| Some((row, share(row)?))).collect();
    let height = TOP + LINE * crate::numbers::float(bars.len()) + 20.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"24\" font-size=\"16\">{}</text>\n",
        escape(title)
    );
    let mut y = TOP;
    for (row, share) in &bars {
        draw_bar(&mut svg, row, *share, y);
        y += LINE;
    }
    let bound = LEFT + WHOLE;
    let _ = write!(
        svg,
        "<line x1=\"{bound}\" y1=\"{}\" x2=\"{bound}\" y2=\"{y}\" stroke=\"black\"/>\n\
         <text x=\"{bound}\" y=\"{}\" text-anchor=\"middle\">bound</text>\n</svg>\n",
        TOP - 4.0,
        TOP - 8.0,
    );
    svg
}

fn draw_bar(svg: &mut String, row: &Row, share: f64, y: f64) {
    let colour = if row.passes() { "#3b7dd8" } else { "#d8483b" };
    let size = row.namespaces.map(|count| format!("{count}: ")).unwrap_or_default();
    let (text, bar) = (y + LINE * 0.65, LINE * 0.7);
    let length = WHOLE * share.min(LONGEST);
    let _ = writeln!(
        svg,
        "<text x=\"{}\" y=\"{text:.1}\" text-anchor=\"end\">{}</text>\
         <rect x=\"{LEFT}\" y=\"{:.1}\" width=\"{length:.1}\" height=\"{bar:.1}\" fill=\"{colour}\"/>\
         <text x=\"{:.1}\" y=\"{text:.1}\">{} ({})</text>",
        LEFT - 8.0,
        escape(&format!("{size}{}", row.what)),
        y + LINE * 0.12,
        LEFT + length.max(WHOLE) + 8.0,
        escape(&row.measured_text()),
        escape(&row.bound_text()),
    );
}

/// How much of its bound a row uses; none where it has none to be under.
fn share(row: &Row) -> Option<f64> {
    match row.bound {
        Bound::AtMost(most) => Some(row.measured.max(0.0) / most),
        Bound::Exactly(_) | Bound::None => None,
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Unit;

    fn row(bound: Bound, measured: f64) -> Row {
        let (what, detail) = ("a < b".to_owned(), String::new());
        Row { namespaces: Some(10), what, unit: Unit::Ratio, bound, measured, detail }
    }

    #[test]
    fn a_bar_is_as_long_as_the_share_of_the_bound() {
        let svg = draw("title", &[row(Bound::AtMost(2.0), 1.0)]);
        assert!(svg.contains("width=\"200.0\" height=\"15.4\" fill=\"#3b7dd8\""), "{svg}");
        assert!(svg.contains("10: a &lt; b") && svg.contains("1.00 × (≤ 2.00 ×)"), "{svg}");
    }

    #[test]
    fn a_bar_beyond_the_bound_is_red_and_not_endless() {
        let svg = draw("title", &[row(Bound::AtMost(2.0), 100.0)]);
        assert!(svg.contains("width=\"500.0\" height=\"15.4\" fill=\"#d8483b\""), "{svg}");
    }

    #[test]
    fn counts_have_no_bar() {
        assert!(!draw("title", &[row(Bound::Exactly(2.0), 2.0)]).contains("a &lt; b"));
    }
}
