//! What goes wrong, and when: rules that are matched against each request, in order.
//!
//! A rule begins with [`on`] or [`on_any`], is narrowed down, and ends in what is done:
//!
//! ```
//! use windlass_testkit::{Call, on};
//!
//! let cut = on(Call::UploadPut).once().reset_after(100_000);
//! let busy = on(Call::BlobHead).skip(2).times(3).answer(429).header("retry-after", "0");
//! ```

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode};
use windlass_oci::Digest;

use crate::call::{Call, Head};
use crate::fault::{Answer, Break, Fault, Garble, Reply, change_location, error_body};
use crate::gate::Gate;

/// A rule without what is done: see [`on`].
#[derive(Clone, Debug)]
pub struct When {
    calls: Vec<Call>,
    repository: Option<String>,
    reference: Option<String>,
    test: Option<Test>,
    /// Numbers of requests to the server, whatever they are.
    numbers: Range<usize>,
    skip: usize,
    times: usize,
    even_anonymous: bool,
}

/// A rule: when, and what is done.
#[derive(Clone, Debug)]
pub struct Rule {
    when: When,
    pub(crate) fault: Fault,
    matched: Arc<AtomicUsize>,
    fired: Arc<AtomicUsize>,
}

#[derive(Clone)]
struct Test(Arc<dyn Fn(&Head) -> bool + Send + Sync>);

/// For every `call`, each time, unless narrowed down.
#[must_use]
pub fn on(call: Call) -> When {
    on_any(&[call])
}

/// For every one of `calls`, and for every request at all where there is none.
#[must_use]
pub fn on_any(calls: &[Call]) -> When {
    When {
        calls: calls.to_vec(),
        repository: None,
        reference: None,
        test: None,
        numbers: 0..usize::MAX,
        skip: 0,
        times: usize::MAX,
        even_anonymous: false,
    }
}

impl When {
    /// Only in this repository.
    #[must_use]
    pub fn repository(mut self, name: &str) -> When {
        self.repository = Some(name.to_owned());
        self
    }

    /// Only for this tag.
    #[must_use]
    pub fn tag(mut self, tag: &str) -> When {
        self.reference = Some(tag.to_owned());
        self
    }

    /// Only for this digest, in the path or in the query.
    #[must_use]
    pub fn digest(mut self, digest: &Digest) -> When {
        self.reference = Some(digest.to_string());
        self
    }

    /// Only where `test` says so.
    #[must_use]
    pub fn matching(mut self, test: impl Fn(&Head) -> bool + Send + Sync + 'static) -> When {
        self.test = Some(Test(Arc::new(test)));
        self
    }

    /// Only for the request of this number, counted from 0 over all that the server was ever
    /// asked: its place in the [log](crate::TestRegistry::log).
    #[must_use]
    pub fn numbered(mut self, number: usize) -> When {
        self.numbers = number..number.saturating_add(1);
        self
    }

    /// Only for the request of this number and those after it.
    #[must_use]
    pub fn numbered_from(mut self, number: usize) -> When {
        self.numbers = number..usize::MAX;
        self
    }

    /// Not for the first `count` of them.
    #[must_use]
    pub fn skip(mut self, count: usize) -> When {
        self.skip = count;
        self
    }

    /// For `count` of them, then never again.
    #[must_use]
    pub fn times(mut self, count: usize) -> When {
        self.times = count;
        self
    }

    /// For the first of them only.
    #[must_use]
    pub fn once(self) -> When {
        self.times(1)
    }

    /// For requests too that are not let in (401, 403); those are not even counted otherwise.
    #[must_use]
    pub fn even_anonymous(mut self) -> When {
        self.even_anonymous = true;
        self
    }

    /// Answers with `status` before anything of the body is read, and does nothing else.
    #[must_use]
    pub fn answer(self, status: u16) -> Rule {
        let status = StatusCode::from_u16(status).expect("a status");
        let answer = Answer { status, headers: HeaderMap::new(), body: Bytes::new() };
        self.then(Fault::Answer { answer, read: Some(0) })
    }

    /// Answers with `status` and an error of the specification's form.
    #[must_use]
    pub fn refuse(self, status: u16, code: &str, message: &str) -> Rule {
        self.answer(status).error(code, message)
    }

    /// Reads `bytes` of a longer body and lets the registry have them, then ends the connection by
    /// a reset. With 0 the registry never hears of the request. Shorter bodies are left alone and not
    /// counted.
    #[must_use]
    pub fn reset_after(self, bytes: u64) -> Rule {
        self.then(Fault::Break { how: Break::Reset, after: bytes })
    }

    /// As [`reset_after`](Self::reset_after), but closes the connection in good order.
    #[must_use]
    pub fn close_after(self, bytes: u64) -> Rule {
        self.then(Fault::Break { how: Break::Close, after: bytes })
    }

    /// Does the work and then resets the connection instead of answering.
    #[must_use]
    pub fn lose_reply(self) -> Rule {
        self.then(Fault::LoseReply(Break::Reset))
    }

    /// Does the work and then closes the connection instead of answering.
    #[must_use]
    pub fn close_instead_of_reply(self) -> Rule {
        self.then(Fault::LoseReply(Break::Close))
    }

    /// Lets the registry have `bytes` of a longer body, then neither reads nor answers until the
    /// client gives up; then the registry hears of a broken body. Shorter bodies are left alone,
    /// but with 0 every request hangs.
    #[must_use]
    pub fn stall_after(self, bytes: u64) -> Rule {
        self.then(Fault::Stall { after: bytes })
    }

    /// Lets the registry have no more than `bytes` of a longer body and believe that this was all:
    /// the answer is a success, and its `Range` ends before what the client has sent.
    #[must_use]
    pub fn accept_only(self, bytes: u64) -> Rule {
        self.then(Fault::Shorten { to: bytes })
    }

    /// Does the work and answers so much later.
    #[must_use]
    pub fn delay(self, delay: Duration) -> Rule {
        self.then(Fault::Delay(delay))
    }

    /// Does the work and answers when the gate is open.
    #[must_use]
    pub fn hold(self, gate: &Gate) -> Rule {
        self.then(Fault::Hold(gate.clone()))
    }

    /// Begins the work when the gate is open.
    #[must_use]
    pub fn hold_before(self, gate: &Gate) -> Rule {
        self.then(Fault::HoldBefore(gate.clone()))
    }

    /// Does the work and changes the answer.
    #[must_use]
    pub fn garble(self, change: impl Fn(&Head, &mut Reply) + Send + Sync + 'static) -> Rule {
        self.then(Fault::Garble(Garble::new(change)))
    }

    /// Does the work and gives the answer another status.
    #[must_use]
    pub fn status(self, status: u16) -> Rule {
        let status = StatusCode::from_u16(status).expect("a status");
        self.garble(move |_, reply| reply.status = status)
    }

    /// Does the work and answers with this header, instead of its own of that name.
    #[must_use]
    pub fn with_header(self, name: &'static str, value: &str) -> Rule {
        let value = HeaderValue::from_str(value).expect("a header's value");
        self.garble(move |_, reply| {
            reply.headers.insert(HeaderName::from_static(name), value.clone());
        })
    }

    /// Does the work and answers without this header.
    #[must_use]
    pub fn without_header(self, name: &'static str) -> Rule {
        self.garble(move |_, reply| {
            reply.headers.remove(name);
        })
    }

    /// Does the work and answers with this body, which says that it is HTML.
    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Rule {
        let body = body.into();
        self.garble(move |_, reply| {
            reply.body = body.clone();
            let html = HeaderValue::from_static("text/html");
            reply.headers.insert(CONTENT_TYPE, html);
        })
    }

    /// Does the work and writes the `Location` as a path without a host.
    #[must_use]
    pub fn relative_location(self) -> Rule {
        self.garble(|_, reply| change_location(reply, String::new))
    }

    /// Does the work and writes the `Location` with `base` before its path, such as
    /// `http://localhost:5001`.
    #[must_use]
    pub fn location_at(self, base: &str) -> Rule {
        let base = base.to_owned();
        self.garble(move |_, reply| change_location(reply, || base.clone()))
    }

    /// Answers with a redirect to the same path at `base`, such as `http://localhost:5001`; an
    /// empty one is the registry itself.
    #[must_use]
    pub fn redirect(self, status: u16, base: &str) -> Rule {
        let status = StatusCode::from_u16(status).expect("a status");
        self.then(Fault::Redirect { status, to: base.to_owned() })
    }

    /// Writes these bytes to the socket instead of an answer and closes the connection. For what
    /// no HTTP library can be brought to send; not under TLS.
    #[must_use]
    pub fn raw(self, bytes: impl Into<Bytes>) -> Rule {
        self.then(Fault::Raw(bytes.into()))
    }

    /// Stops listening and resets all connections, this one first, before the work is done.
    #[must_use]
    pub fn vanish(self) -> Rule {
        self.then(Fault::Vanish { after_work: false })
    }

    /// Stops listening and resets all connections when the work is done.
    #[must_use]
    pub fn vanish_after_work(self) -> Rule {
        self.then(Fault::Vanish { after_work: true })
    }

    fn then(self, fault: Fault) -> Rule {
        Rule { when: self, fault, matched: Arc::default(), fired: Arc::default() }
    }

    fn is_about(&self, head: &Head, number: usize) -> bool {
        let target = &head.target;
        self.numbers.contains(&number)
            && (self.calls.is_empty() || self.calls.contains(&target.call))
            && self.repository.as_ref().is_none_or(|name| target.repository.as_ref() == Some(name))
            && self
                .reference
                .as_ref()
                .is_none_or(|wanted| target.reference.as_ref() == Some(wanted))
            && self.test.as_ref().is_none_or(|test| (test.0)(head))
    }
}

impl Rule {
    /// How often it has been applied. Clones of a rule count together.
    #[must_use]
    pub fn fired(&self) -> usize {
        self.fired.load(Ordering::SeqCst)
    }

    /// With this header in the answer.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Rule {
        self.change(|answer, _| {
            let name: HeaderName = name.parse().expect("a header's name");
            answer.headers.append(name, value.parse().expect("a header's value"));
        })
    }

    /// With this body in the answer.
    #[must_use]
    pub fn body(self, body: impl Into<Bytes>) -> Rule {
        self.change(|answer, _| answer.body = body.into())
    }

    /// With an error of the specification's form in the answer.
    #[must_use]
    pub fn error(self, code: &str, message: &str) -> Rule {
        let body = error_body(code, message);
        self.header("content-type", "application/json").body(body)
    }

    /// Answers when so many bytes of the body have been read, or all of it where it is shorter.
    #[must_use]
    pub fn after_bytes(self, bytes: u64) -> Rule {
        self.change(|_, read| *read = Some(bytes))
    }

    /// Answers when the whole body has been read.
    #[must_use]
    pub fn after_body(self) -> Rule {
        self.change(|_, read| *read = None)
    }

    /// Whether it is to be applied to a request, which is counted.
    pub(crate) fn applies(&self, head: &Head, number: usize, is_refused: bool) -> bool {
        if (is_refused && !self.when.even_anonymous)
            || !self.when.is_about(head, number)
            || !self.fault.fits(head.content_length())
        {
            return false;
        }
        let number = self.matched.fetch_add(1, Ordering::SeqCst);
        let applies = number >= self.when.skip && number - self.when.skip < self.when.times;
        if applies {
            self.fired.fetch_add(1, Ordering::SeqCst);
        }
        applies
    }

    fn change(mut self, change: impl FnOnce(&mut Answer, &mut Option<u64>)) -> Rule {
        match &mut self.fault {
            Fault::Answer { answer, read } => change(answer, read),
            other => panic!("only an answer has a header, a body and a moment, not {other:?}"),
        }
        self
    }
}

impl fmt::Debug for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Test")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Target;
    use http::Method;

    fn head(method: &str, path: &str, length: u64) -> Head {
        let method: Method = method.parse().unwrap();
        let (bare, query) = path.split_once('?').unwrap_or((path, ""));
        let mut headers = HeaderMap::new();
        headers.insert("content-length", length.into());
        Head { target: Target::of(&method, bare, query), method, path: path.to_owned(), headers }
    }

    #[test]
    fn a_rule_fires_after_its_skips_and_as_often_as_it_says() {
        let rule = on(Call::TagPut).skip(1).times(2).answer(500);
        let tag = head("PUT", "/v2/a/manifests/v1", 10);
        let other = head("PUT", "/v2/a/manifests/sha256:0", 10);
        let got: Vec<_> = (0..5)
            .map(|_| {
                assert!(!rule.applies(&other, 0, false));
                rule.applies(&tag, 0, false)
            })
            .collect();
        assert_eq!(got, [false, true, true, false, false]);
        assert_eq!(rule.fired(), 2);
    }

    #[test]
    fn a_rule_is_narrowed_down_by_repository_reference_and_test() {
        let tag = head("PUT", "/v2/a/manifests/v1", 10);
        assert!(on(Call::TagPut).repository("a").tag("v1").answer(500).applies(&tag, 0, false));
        assert!(!on(Call::TagPut).repository("b").answer(500).applies(&tag, 0, false));
        assert!(!on(Call::TagPut).tag("v2").answer(500).applies(&tag, 0, false));
        assert!(!on(Call::TagPut).matching(|_| false).answer(500).applies(&tag, 0, false));
        assert!(on_any(&[]).answer(500).applies(&tag, 0, false));
    }

    #[test]
    fn a_rule_may_be_for_a_place_in_the_log() {
        let ping = head("GET", "/v2/", 0);
        let numbers = |when: When| {
            let rule = when.answer(500);
            (0..4).filter(|number| rule.applies(&ping, *number, false)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(on_any(&[]).numbered(2)), [2]);
        assert_eq!(numbers(on_any(&[]).numbered_from(2)), [2, 3]);
        assert_eq!(numbers(on(Call::TagPut).numbered_from(2)), [0; 0]);
    }

    #[test]
    fn requests_that_are_not_let_in_are_not_counted() {
        let ping = head("GET", "/v2/", 0);
        let rule = on(Call::Ping).once().answer(500);
        assert!(!rule.applies(&ping, 0, true));
        assert!(rule.applies(&ping, 0, false));
        assert!(on(Call::Ping).even_anonymous().answer(500).applies(&ping, 0, true));
    }

    #[test]
    fn bodies_too_short_to_be_cut_are_left_alone() {
        let put = |length| head("PUT", "/v2/a/blobs/uploads/u?digest=x", length);
        let rule = on(Call::UploadPut).once().reset_after(100);
        assert!(!rule.applies(&put(100), 0, false));
        assert!(rule.applies(&put(101), 0, false));
        assert!(on(Call::UploadPut).reset_after(0).applies(&put(0), 0, false));
    }
}
