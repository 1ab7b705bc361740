//! How long an answer asks to wait before another attempt, in either form that RFC 9110 allows.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

/// The wait that the headers name at the time `now`
/// ([RFC 9110](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3)): a number of seconds, or a
/// date in one of the three formats of HTTP. A date that has passed asks for no wait.
///
/// Whoever wrote the date wrote it by a clock of their own, so it is held against the `Date` of
/// the same answer where there is one.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = text(headers, &RETRY_AFTER)?;
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than a number can hold are a wait that nobody sees the end of.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let until = date(text)?;
    let now = self::text(headers, &DATE).and_then(date).unwrap_or(now);
    Some(until.duration_since(now).unwrap_or_default())
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    Some(headers.get(name)?.to_str().ok()?.trim())
}

fn date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text).ok()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const NOW: Duration = Duration::from_secs(784_111_777);

    fn seconds(retry_after_text: &str, date: Option<&str>) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(
            RETRY_AFTER,
            HeaderValue::from_str(retry_after_text).unwrap(),
        );
        if let Some(date) = date {
            headers.insert(DATE, HeaderValue::from_str(date).unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + NOW;
        retry_after(&headers, now).map(|wait| wait.as_secs())
    }

    #[test]
    fn seconds_and_the_three_formats_of_dates_are_read() {
        for (text, expected) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sunday, 06-Nov-94 08:49:40 GMT", Some(3)),
            ("Sun Nov  6 08:49:40 1994", Some(3)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Sat, 06 Nov 2094 08:49:37 GMT", Some(3_155_760_000)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1.5", None),
            ("1 s", None),
            ("soon", None),
            ("Sun, 06 Nov 1994 08:49:40 CET", None),
        ] {
            assert_eq!(seconds(text, None), expected, "{text:?}");
        }
    }

    #[test]
    fn a_date_is_held_against_the_clock_that_wrote_it() {
        let later = "Sun, 06 Nov 1994 10:00:10 GMT";
        let wait = seconds(later, Some("Sun, 06 Nov 1994 10:00:00 GMT"));
        assert_eq!(wait, Some(10));
        assert_eq!(seconds(later, Some("soon")), Some(4233));
    }
}
