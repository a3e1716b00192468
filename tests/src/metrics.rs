//! Pages in Prometheus' text format.

use std::str::FromStr;

use anyhow::{Context, Result};

/// The value of one series of a page, such as `ecr_refresher_copies{secret="a",state="fresh"}` with
/// its labels in the order of the alphabet. A whole number prints as one.
///
/// # Errors
/// When there is no such series, or its value is no `T`.
pub fn value<T>(page: &str, series: &str) -> Result<T>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let line = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    let value = line.with_context(|| format!("there is no series {series}"))?.trim();
    value.parse().with_context(|| format!("{series} is {value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_found_by_its_whole_name_and_labels() {
        let page = "# TYPE a counter\na_total 3\na{b=\"1\"} 0.5\na 7\n";
        assert_eq!(value::<u64>(page, "a").unwrap(), 7);
        assert_eq!(value::<f64>(page, "a{b=\"1\"}").unwrap().to_bits(), 0.5_f64.to_bits());
        assert_eq!(value::<u64>(page, "b").unwrap_err().to_string(), "there is no series b");
        assert_eq!(value::<u64>(page, "a{b=\"1\"}").unwrap_err().to_string(), "a{b=\"1\"} is 0.5");
    }
}
