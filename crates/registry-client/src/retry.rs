//! When to try again, and how long to wait: decisions without a clock or a socket.

use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use windlass_oci::ErrorBody;

use crate::auth::AuthError;
use crate::http::HttpError;

/// What to do after something did not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It will not work another time either.
    Fatal,
    /// It may work later.
    Retry {
        /// How long the registry asks to be left alone, for the whole host.
        pause: Option<Duration>,
    },
}

/// How long one operation is tried while nothing moves forward.
///
/// Time is counted from the first failure since the last step forward, so that a long body that
/// broke at its end has all of it left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Patience {
    trouble_since: Option<Instant>,
    failures: u32,
}

/// Something that did not work, as [`Patience`] looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setback {
    /// How long to be patient at most.
    pub(crate) limit: Duration,
    /// How long the registry asks to be left alone.
    pub(crate) pause: Option<Duration>,
    /// Whether bytes of a body went out before it: that is no time of waiting.
    pub(crate) moved: bool,
}

/// Why something is not tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GaveUp {
    /// It was tried for as long as may be.
    TimeIsUp,
    /// The registry asks for more time than may be.
    PauseTooLong(Duration),
}

/// An answer with this status may be another one later.
pub(crate) fn judge_status(
    status: StatusCode,
    retry_after: Option<Duration>,
    body: &ErrorBody,
) -> Verdict {
    match status.as_u16() {
        408 | 425 | 429 => Verdict::Retry { pause: retry_after },
        // Not implemented, HTTP version not supported: no time mends these.
        501 | 505 => Verdict::Fatal,
        // Beside the standard ones: 520 to 524 are Cloudflare's for an origin that is away.
        500..=599 => Verdict::Retry { pause: retry_after },
        // nginx and docker-registry log 499 for a client that went; a proxy may hand it on.
        499 => Verdict::Retry { pause: None },
        // GHCR answers 403 when its secondary rate limit is met,
        // <https://github.com/docker/build-push-action/issues/463>.
        403 if is_rate_limit(body) => Verdict::Retry { pause: retry_after },
        _ => Verdict::Fatal,
    }
}

/// Whether an answer says that the host is asked too much, so that it is asked less at once.
pub(crate) fn is_push_back(status: StatusCode, body: &ErrorBody) -> bool {
    match status.as_u16() {
        429 | 503 => true,
        403 => is_rate_limit(body),
        _ => false,
    }
}

/// What became of a request without an answer. `host_has_answered`: the host gave an answer
/// earlier in this process, so its name and its certificate are right.
pub(crate) fn judge_failure(error: &HttpError, host_has_answered: bool) -> Verdict {
    let retry = Verdict::Retry { pause: None };
    match error {
        HttpError::Resolve(_) if host_has_answered => retry,
        HttpError::Resolve(_) => Verdict::Fatal,
        HttpError::Connect(_)
        | HttpError::Broken(_)
        | HttpError::Unsent(_)
        | HttpError::Stalled(_)
        | HttpError::AnswerTimeout(_) => retry,
        HttpError::NotHttp(_) if host_has_answered => retry,
        HttpError::Tls(_)
        | HttpError::NotTls(_)
        | HttpError::NotHttp(_)
        | HttpError::Uri(_)
        | HttpError::Redirect(_)
        | HttpError::TooLarge(_)
        | HttpError::Source(_) => Verdict::Fatal,
    }
}

/// What became of asking for a token.
pub(crate) fn judge_login(error: &AuthError) -> Verdict {
    match error {
        AuthError::Busy { retry_after: value, .. } => {
            let value = value.as_ref().and_then(|value| value.to_str().ok());
            let pause = value.and_then(|value| retry_after(value, SystemTime::now()));
            Verdict::Retry { pause }
        }
        AuthError::Unreachable { error, .. } => judge_failure(error, true),
        _ => Verdict::Fatal,
    }
}

/// The value of `Retry-After`: seconds, or a date (RFC 9110 §10.2.3). A date in the past is zero.
#[must_use]
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than a u64 takes is simply very long.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::from(u32::MAX))));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

impl Patience {
    /// Something moved forward: all is forgiven.
    pub(crate) fn moved_forward(&mut self) {
        *self = Patience::default();
    }

    /// Something failed. How long to wait before the next try, or why there is none. `random` is
    /// between 0 and 1.
    pub(crate) fn failed(
        &mut self,
        now: Instant,
        setback: Setback,
        random: f64,
    ) -> Result<Duration, GaveUp> {
        let Setback { limit, pause, moved } = setback;
        let since = *self.trouble_since.get_or_insert(now);
        let delay = backoff(self.failures, random);
        self.failures += 1;
        let left = limit.saturating_sub(now.saturating_duration_since(since));
        if let Some(pause) = pause
            && pause > left
        {
            return Err(GaveUp::PauseTooLong(pause));
        }
        // A body may take longer than patience lasts, and deserves more than one try.
        if left.is_zero() && moved && self.failures < TRIES_OF_A_BODY {
            return Ok(delay);
        }
        if left.is_zero() {
            return Err(GaveUp::TimeIsUp);
        }
        // The last try comes at the very end of the time, not some way before it.
        Ok(delay.min(left).max(pause.unwrap_or(Duration::ZERO)))
    }

    /// It stood in line `since` then, and what it waited for had last moved forward at `moved`:
    /// up to then nothing of the time is its own trouble.
    pub(crate) fn stood_in_line(&mut self, since: Instant, moved: Instant) {
        if let Some(trouble_since) = &mut self.trouble_since {
            *trouble_since += moved.saturating_duration_since(since);
        }
    }

    /// How often it failed since it last moved forward.
    pub(crate) fn failures(&self) -> u32 {
        self.failures
    }
}

const TRIES_OF_A_BODY: u32 = 3;
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// Doubling, with jitter between a half and the whole, so that many clients that met one fault do
/// not come back as one.
fn backoff(failures: u32, random: f64) -> Duration {
    let whole = FIRST_DELAY.saturating_mul(1 << failures.min(20)).min(LONGEST_DELAY);
    whole.mul_f64(0.5 + random.clamp(0.0, 1.0) / 2.0)
}

fn is_rate_limit(body: &ErrorBody) -> bool {
    let words = body.to_string().to_ascii_lowercase();
    words.contains("rate limit") || words.contains("ratelimit")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::HeaderValue;
    use windlass_oci::Registry;

    use super::*;

    fn words(text: &str) -> ErrorBody {
        ErrorBody::parse(text.as_bytes())
    }

    #[test]
    fn every_status_has_its_verdict() {
        let retried: Vec<u16> = (100..=599)
            .filter(|status| {
                let status = StatusCode::from_u16(*status).unwrap();
                judge_status(status, None, &ErrorBody::default()) != Verdict::Fatal
            })
            .collect();
        let mut expected = vec![408, 425, 429, 499];
        expected.extend((500..=599).filter(|status| ![501, 505].contains(status)));
        assert_eq!(retried, expected);
    }

    #[test]
    fn a_rate_limit_by_any_other_status_is_one() {
        let forbidden = StatusCode::FORBIDDEN;
        let limited = words("You have exceeded a secondary rate limit. Please wait");
        assert_eq!(judge_status(forbidden, None, &limited), Verdict::Retry { pause: None });
        assert_eq!(judge_status(forbidden, None, &words("denied")), Verdict::Fatal);
    }

    #[test]
    fn what_says_too_much_is_told_from_other_trouble() {
        let check = |status: u16, text: &str, expected: bool| {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(is_push_back(status, &words(text)), expected, "{status} {text}");
        };
        check(429, "", true);
        check(503, "", true);
        check(403, "secondary rate limit", true);
        check(403, "denied", false);
        for status in [400, 404, 408, 500, 502, 504] {
            check(status, "rate limit", false);
        }
    }

    #[test]
    fn a_name_that_never_answered_is_a_typo() {
        let unknown = HttpError::Resolve(String::new());
        assert_eq!(judge_failure(&unknown, false), Verdict::Fatal);
        assert_eq!(judge_failure(&unknown, true), Verdict::Retry { pause: None });
        let certificate = HttpError::Tls(String::new());
        assert_eq!(judge_failure(&certificate, true), Verdict::Fatal);
        // Who has answered before speaks HTTP, whatever that was.
        let garbage = HttpError::NotHttp(String::new());
        assert_eq!(judge_failure(&garbage, false), Verdict::Fatal);
        assert_eq!(judge_failure(&garbage, true), Verdict::Retry { pause: None });
    }

    #[test]
    fn a_token_server_in_trouble_is_waited_for_and_a_refusal_of_its_stands() {
        let check = |error: AuthError, expected| {
            assert_eq!(judge_login(&error), expected, "{error}");
        };
        let (host, registry) = ("auth.example".to_owned(), "registry.example".parse().unwrap());
        let words = Box::<ErrorBody>::default();
        let busy = |retry_after: Option<&'static str>| AuthError::Busy {
            host: host.clone(),
            registry: Registry::clone(&registry),
            status: StatusCode::SERVICE_UNAVAILABLE,
            retry_after: retry_after.map(HeaderValue::from_static),
            words: words.clone(),
        };
        check(busy(None), Verdict::Retry { pause: None });
        check(busy(Some("7")), Verdict::Retry { pause: Some(Duration::from_secs(7)) });
        let unreachable = |error| AuthError::Unreachable {
            host: host.clone(),
            registry: registry.clone(),
            error: Arc::new(error),
        };
        check(unreachable(HttpError::Connect(String::new())), Verdict::Retry { pause: None });
        check(unreachable(HttpError::Tls(String::new())), Verdict::Fatal);
        let (host, registry) = (host.clone(), registry.clone());
        let problem = "it has no token";
        check(AuthError::NoToken { host, registry, problem }, Verdict::Fatal);
    }

    #[test]
    fn retry_after_is_read_in_both_forms() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        let check = |value: &str, seconds: Option<u64>| {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value}");
        };
        check("0", Some(0));
        check(" 120 ", Some(120));
        check("99999999999999999999999999", Some(u64::from(u32::MAX)));
        check("Sun, 06 Nov 1994 08:49:40 GMT", Some(3));
        check("Sun, 06 Nov 1994 08:49:30 GMT", Some(0));
        check("Sunday, 06-Nov-94 08:49:40 GMT", Some(3));
        check("-1", None);
        check("1.5", None);
        check("soon", None);
        check("", None);
    }

    fn setback(seconds: u64) -> Setback {
        Setback { limit: Duration::from_secs(seconds), pause: None, moved: false }
    }

    #[test]
    fn patience_ends_with_its_time_and_is_renewed_by_progress() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut patience = Patience::default();
        assert_eq!(patience.failed(at(0), setback(60), 0.0), Ok(FIRST_DELAY / 2));
        assert_eq!(patience.failed(at(1), setback(60), 1.0), Ok(FIRST_DELAY * 2));
        assert_eq!(patience.failures(), 2);
        for _ in 0..40 {
            assert!(patience.failed(at(10), setback(60), 1.0).unwrap() <= LONGEST_DELAY);
        }
        // Never longer than what is left, and nothing after that.
        assert_eq!(patience.failed(at(58), setback(60), 1.0), Ok(Duration::from_secs(2)));
        assert_eq!(patience.failed(at(60), setback(60), 1.0), Err(GaveUp::TimeIsUp));
        assert_eq!(patience.failed(at(61), setback(60), 1.0), Err(GaveUp::TimeIsUp));
        patience.moved_forward();
        assert!(patience.failed(at(100), setback(60), 1.0).is_ok());
    }

    #[test]
    fn the_limit_may_be_short_at_first_and_long_later() {
        let start = Instant::now();
        let at = |millis: u64| start + Duration::from_millis(millis);
        let mut patience = Patience::default();
        assert!(patience.failed(at(0), setback(3), 1.0).is_ok());
        assert!(patience.failed(at(5000), setback(60), 1.0).is_ok());
        assert_eq!(patience.failed(at(5000), setback(3), 1.0), Err(GaveUp::TimeIsUp));
    }

    #[test]
    fn time_in_line_counts_from_where_nothing_moves_there() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let check = |since: u64, moved: u64, failed: u64, left: u64| {
            let mut patience = Patience::default();
            assert!(patience.failed(at(100), setback(60), 1.0).is_ok());
            patience.stood_in_line(at(since), at(moved));
            // Whoever is told to wait for longer than is left gives up.
            let pause =
                |seconds| Setback { pause: Some(Duration::from_secs(seconds)), ..setback(60) };
            assert!(patience.clone().failed(at(failed), pause(left), 1.0).is_ok());
            assert!(patience.failed(at(failed), pause(left + 1), 1.0).is_err());
        };
        // It all moved, a part of it, nothing; what moved was before.
        check(110, 210, 210, 50);
        check(110, 130, 150, 30);
        check(110, 110, 150, 10);
        check(110, 90, 150, 10);
        // Without trouble there is nothing to forgive.
        let mut patience = Patience::default();
        patience.stood_in_line(at(0), at(500));
        assert!(patience.failed(at(500), setback(60), 1.0).is_ok());
        assert_eq!(patience.failed(at(560), setback(60), 1.0), Err(GaveUp::TimeIsUp));
    }

    #[test]
    fn a_pause_that_is_asked_for_is_kept_whole_or_given_up_on_at_once() {
        let start = Instant::now();
        let mut patience = Patience::default();
        let seconds = Duration::from_secs;
        let pause = |pause| Setback { pause: Some(seconds(pause)), ..setback(60) };
        assert_eq!(patience.failed(start, pause(7), 1.0), Ok(seconds(7)));
        let given_up = Err(GaveUp::PauseTooLong(seconds(61)));
        assert_eq!(patience.failed(start, pause(61), 1.0), given_up);
    }

    #[test]
    fn a_body_that_takes_longer_than_patience_is_tried_more_than_once() {
        let start = Instant::now();
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let broken = Setback { moved: true, ..setback(60) };
        let mut patience = Patience::default();
        assert!(patience.failed(at(0), broken, 1.0).is_ok());
        assert!(patience.failed(at(600), broken, 1.0).is_ok());
        assert_eq!(patience.failed(at(1200), broken, 1.0), Err(GaveUp::TimeIsUp));
    }
}
