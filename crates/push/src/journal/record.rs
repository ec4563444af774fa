//! The form of a record: one line, which tells its version and a checksum of itself.
//!
//! ```text
//! windlass-journal 1 0123456789abcdef {"subject":"host/name@sha256:…","written":1790000000,"value":{…}}
//! ```
//!
//! A record is written over the one before it in place. Cut anywhere, or half old and half new, its
//! checksum is wrong and it is as good as none; what an older and longer one has left behind the line
//! is not looked at. Pure: bytes and a time in, a value out.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use windlass_oci::Digest;
use windlass_registry_client::HostProfile;
use windlass_registry_client::auth::Realm;

use super::key::Key;

const MAGIC: &str = "windlass-journal";
const VERSION: &str = "1";
/// Clocks of machines that share a folder differ a little.
const LEEWAY: u64 = 60 * 60;

/// An upload session.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(Debug))]
#[serde(deny_unknown_fields)]
pub(crate) struct Upload {
    /// Its newest location: a secret, so there is no way to show one of these.
    pub(crate) location: String,
    /// How many bytes the registry has acknowledged.
    pub(crate) acknowledged: u64,
    /// The most bytes that may have arrived.
    pub(crate) sent: u64,
}

/// An image that is complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Image {}

/// What a host can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Host {
    /// The most bytes of one body.
    pub(crate) largest_body: Option<u64>,
    /// It takes no PATCH.
    pub(crate) whole_only: bool,
    /// Where tokens for it are to be had. Records of before know nothing of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) login: Option<Login>,
}

/// Where tokens for a host are to be had. No secret: the host tells it to everybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// The token server's URL.
    pub(crate) realm: String,
    /// The host's name there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<String>,
}

/// Why a record is as good as none. It never shows what was read, since that may be a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Odd {
    /// Nothing was ever written.
    #[error("it is empty")]
    Empty,
    /// It was not written to its end, or has been changed.
    #[error("it is cut or damaged")]
    Damaged,
    /// It is another program's, or was written by another version of this one.
    #[error("it is of another version")]
    Version,
    /// It is in the wrong place.
    #[error("it is about something else")]
    Subject,
    /// It was worth something once.
    #[error("it has expired")]
    Expired,
    /// It is not what its version says.
    #[error("it is no record of its kind")]
    Form,
}

#[derive(Serialize, Deserialize)]
struct Record<'a, V> {
    subject: std::borrow::Cow<'a, str>,
    /// In seconds since 1970.
    written: u64,
    value: V,
}

/// The bytes of a record that is written `now`.
pub(crate) fn render(key: &Key, now: u64, value: &impl Serialize) -> Vec<u8> {
    let record = Record { subject: key.subject().into(), written: now, value };
    // Numbers and texts cannot fail to become JSON; if they did, this would be found damaged.
    let json = serde_json::to_string(&record).unwrap_or_default();
    format!("{MAGIC} {VERSION} {} {json}\n", checksum(&json)).into_bytes()
}

/// The value of a record about `key`, if it is one and can still be believed `now`.
pub(crate) fn parse<V: DeserializeOwned>(bytes: &[u8], key: &Key, now: u64) -> Result<V, Odd> {
    if bytes.is_empty() {
        return Err(Odd::Empty);
    }
    let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(Odd::Damaged)?;
    let line = std::str::from_utf8(&bytes[..end]).map_err(|_| Odd::Damaged)?;
    let mut parts = line.splitn(4, ' ');
    if (parts.next(), parts.next()) != (Some(MAGIC), Some(VERSION)) {
        return Err(Odd::Version);
    }
    let (Some(sum), Some(json)) = (parts.next(), parts.next()) else {
        return Err(Odd::Damaged);
    };
    if sum != checksum(json) {
        return Err(Odd::Damaged);
    }
    let record: Record<'_, V> = serde_json::from_str(json).map_err(|_| Odd::Form)?;
    if record.subject != key.subject() {
        return Err(Odd::Subject);
    }
    let is_fresh = match now.checked_sub(record.written) {
        Some(age) => age <= key.kind().lifetime().as_secs(),
        None => record.written - now <= LEEWAY,
    };
    if is_fresh { Ok(record.value) } else { Err(Odd::Expired) }
}

fn checksum(json: &str) -> String {
    Digest::sha256(json.as_bytes()).hex()[..16].to_owned()
}

impl From<Host> for HostProfile {
    fn from(host: Host) -> HostProfile {
        let Host { largest_body, whole_only, login } = host;
        let realm = login.map(|Login { realm, service }| Realm { url: realm, service });
        HostProfile { largest_body: largest_body.filter(|bytes| *bytes > 0), whole_only, realm }
    }
}

impl From<HostProfile> for Host {
    fn from(profile: HostProfile) -> Host {
        let HostProfile { largest_body, whole_only, realm } = profile;
        let login = realm.map(|Realm { url, service }| Login { realm: url, service });
        Host { largest_body, whole_only, login }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: u64 = 1_790_000_000;
    const DAY: u64 = 24 * 60 * 60;

    fn key() -> Key {
        Key::upload(&"host.io/app".parse().unwrap(), &Digest::sha256(b"x"))
    }

    fn upload(location: &str, acknowledged: u64) -> Upload {
        Upload { location: location.to_owned(), acknowledged, sent: acknowledged + 7 }
    }

    #[track_caller]
    #[expect(clippy::needless_pass_by_value, reason = "a table reads better without ampersands")]
    fn check(bytes: impl AsRef<[u8]>, expected: Result<Upload, Odd>) {
        assert_eq!(parse(bytes.as_ref(), &key(), NOW), expected);
    }

    #[test]
    fn what_was_written_is_read() {
        let value = upload("https://host.io/v2/app/blobs/uploads/1?_state=%2B", 5);
        check(render(&key(), NOW, &value), Ok(value));
        let image = Key::image(&"host.io/app".parse().unwrap(), &Digest::sha256(b"x"));
        assert_eq!(parse(&render(&image, NOW, &Image {}), &image, NOW), Ok(Image {}));
        let host = Key::host(&"host.io".parse().unwrap());
        let login = |service: Option<&str>| {
            let service = service.map(str::to_owned);
            Some(Login { realm: "https://auth.host.io/token".to_owned(), service })
        };
        for (largest_body, login) in
            [(None, None), (Some(4 << 20), login(None)), (None, login(Some("host.io")))]
        {
            let value = Host { largest_body, whole_only: true, login };
            assert_eq!(parse(&render(&host, NOW, &value), &host, NOW), Ok(value));
        }
    }

    #[test]
    fn a_record_of_before_is_read() {
        let host = Key::host(&"host.io".parse().unwrap());
        let json = format!(
            r#"{{"subject":"host.io","written":{NOW},"value":{{"largest_body":7,"whole_only":true}}}}"#
        );
        let record = format!("{MAGIC} {VERSION} {} {json}\n", checksum(&json));
        let value = Host { largest_body: Some(7), whole_only: true, login: None };
        assert_eq!(parse(record.as_bytes(), &host, NOW), Ok(value.clone()));
        // What knows nothing of it either is written as it was.
        assert_eq!(render(&host, NOW, &value), record.as_bytes());
    }

    #[test]
    fn what_is_odd_is_as_good_as_nothing() {
        let good = String::from_utf8(render(&key(), NOW, &upload("/a", 5))).unwrap();
        check("", Err(Odd::Empty));
        check("\n", Err(Odd::Version));
        check([0; 100], Err(Odd::Damaged));
        check(good.replace(" 1 ", " 2 "), Err(Odd::Version));
        check(good.replace("windlass", "capstans"), Err(Odd::Version));
        check(good.replace("/a", "/b"), Err(Odd::Damaged));
        check(good.trim_end(), Err(Odd::Damaged));
        check(format!("{good}what an older one left"), Ok(upload("/a", 5)));
        let other = Key::upload(&"host.io/other".parse().unwrap(), &Digest::sha256(b"x"));
        check(render(&other, NOW, &upload("/a", 5)), Err(Odd::Subject));
        check(render(&key(), NOW, &Image {}), Err(Odd::Form));
        check(render(&key(), NOW, &"text"), Err(Odd::Form));
        let sum = checksum("[");
        check(format!("windlass-journal 1 {sum} [\n"), Err(Odd::Form));
    }

    #[test]
    fn a_record_is_believed_for_a_time() {
        let value = upload("/a", 5);
        check(render(&key(), NOW - DAY, &value), Ok(value.clone()));
        check(render(&key(), NOW - DAY - 1, &value), Err(Odd::Expired));
        // The clock was set back a little, and a lot.
        check(render(&key(), NOW + LEEWAY, &value), Ok(value.clone()));
        check(render(&key(), NOW + LEEWAY + 1, &value), Err(Odd::Expired));
        check(render(&key(), u64::MAX, &value), Err(Odd::Expired));
    }

    proptest! {
        /// A record over an older one, killed after any byte, is the new one, or none.
        #[test]
        fn a_record_is_whole_or_none(
            old in ("[ -~]{0,80}", 0u64..1 << 40),
            new in ("[ -~]{0,80}", 0u64..1 << 40),
            cut in any::<prop::sample::Index>(),
        ) {
            let (old, new) = (upload(&old.0, old.1), upload(&new.0, new.1));
            let (before, after) = (render(&key(), NOW, &old), render(&key(), NOW, &new));
            let cut = cut.index(after.len() + 1);
            // First written, cut there.
            let first: Result<Upload, Odd> = parse(&after[..cut], &key(), NOW);
            prop_assert_eq!(first.is_ok(), cut == after.len());
            // Written over the old one up to there.
            let mut mixed = after[..cut].to_vec();
            mixed.extend_from_slice(before.get(cut..).unwrap_or_default());
            if let Ok(found) = parse::<Upload>(&mixed, &key(), NOW) {
                prop_assert!(found == old || found == new);
            }
        }

        #[test]
        fn nothing_read_is_too_odd(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(parse::<Upload>(&bytes, &key(), NOW).is_err());
        }
    }
}
