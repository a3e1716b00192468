//! The delay that an answer asks for in its headers.

use std::time::Duration;

use http::{HeaderMap, HeaderName, header};
use jiff::{Timestamp, fmt::rfc2822};

/// The delay of `Retry-After`: seconds, as the API server sends it, or a date, as a proxy may. A date
/// is compared with that of the answer, so that the own clock does not matter.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let wait = date(headers, header::RETRY_AFTER)?.duration_since(date(headers, header::DATE)?);
    Duration::try_from(wait).ok()
}

fn date(headers: &HeaderMap, name: HeaderName) -> Option<Timestamp> {
    let text = headers.get(name)?.to_str().ok()?;
    rfc2822::parse(text).ok().map(|date| date.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(headers: &[(HeaderName, &str)]) -> Option<u64> {
        let headers = headers.iter().map(|(name, value)| (name.clone(), value.parse().unwrap()));
        retry_after(&headers.collect()).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_are_a_delay() {
        assert_eq!(asked(&[(header::RETRY_AFTER, "7")]), Some(7));
        assert_eq!(asked(&[(header::RETRY_AFTER, " 0 ")]), Some(0));
    }

    #[test]
    fn a_date_is_compared_with_the_date_of_the_answer() {
        let date = (header::DATE, "Wed, 21 Oct 2015 07:28:00 GMT");
        let later = (header::RETRY_AFTER, "Wed, 21 Oct 2015 07:30:05 GMT");
        assert_eq!(asked(&[date.clone(), later.clone()]), Some(125));
        assert_eq!(asked(&[later]), None, "there is no date to compare it with");
        let earlier = (header::RETRY_AFTER, "Wed, 21 Oct 2015 07:27:59 GMT");
        assert_eq!(asked(&[date, earlier]), None);
    }

    #[test]
    fn an_invalid_value_is_ignored() {
        assert_eq!(asked(&[]), None);
        for text in ["", "soon", "-5", "1.5"] {
            assert_eq!(asked(&[(header::RETRY_AFTER, text)]), None, "{text:?}");
        }
    }
}
