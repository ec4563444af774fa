//! What a 401 asks for: the `WWW-Authenticate` headers, RFC 9110 §11.6.1.
//!
//! A registry may send several headers, several challenges in one header, and either kind of
//! value, quoted or not. What the grammar refuses is read once more by a tolerant parser: an
//! unquoted URL is malformed, and it is still plain what is meant.

use http::HeaderMap;
use http::header::WWW_AUTHENTICATE;
use http_auth::parser::ChallengeParser;

use super::Scopes;

/// A challenge that can be met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A name and a password with every request.
    Basic,
    /// A token, from the token server at `realm`.
    Bearer(Bearer),
}

/// Where a token is to be had, and for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bearer {
    /// The token server's URL, as it was sent.
    pub(super) realm: String,
    /// The name under which the token server knows the registry.
    pub(super) service: Option<String>,
    /// What the token must allow, in the registry's opinion.
    pub(super) scopes: Scopes,
}

/// What the headers of a 401 come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// There was no challenge in them.
    Nothing,
    /// This is the best of them: `Bearer` before `Basic`.
    For(Challenge),
    /// There were only these, which cannot be met.
    Unknown(Vec<String>),
}

/// Reads all challenges of a 401 and chooses among them.
pub(super) fn choose(headers: &HeaderMap) -> Asked {
    let challenges: Vec<Raw> = headers
        .get_all(WWW_AUTHENTICATE)
        .iter()
        .flat_map(|value| parse(&String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let bearer = challenges.iter().filter(|raw| raw.is("bearer")).find_map(|raw| {
        let realm = raw.param("realm").filter(|realm| !realm.is_empty())?;
        Some(Bearer {
            realm: realm.to_owned(),
            service: raw.param("service").filter(|text| !text.is_empty()).map(str::to_owned),
            scopes: Scopes::parse(raw.param("scope").unwrap_or_default()),
        })
    });
    if let Some(bearer) = bearer {
        Asked::For(Challenge::Bearer(bearer))
    } else if challenges.iter().any(|raw| raw.is("basic")) {
        Asked::For(Challenge::Basic)
    } else if challenges.is_empty() {
        Asked::Nothing
    } else {
        let shown =
            |raw: &Raw| raw.scheme.chars().filter(char::is_ascii_graphic).take(40).collect();
        Asked::Unknown(challenges.iter().map(shown).collect())
    }
}

/// A challenge of any scheme.
#[derive(Debug)]
struct Raw {
    scheme: String,
    params: Vec<(String, String)>,
}

impl Raw {
    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    fn param(&self, name: &str) -> Option<&str> {
        let mut params = self.params.iter();
        params.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

fn parse(header: &str) -> Vec<Raw> {
    let strict: Result<Vec<Raw>, _> = ChallengeParser::new(header)
        .map(|challenge| {
            challenge.map(|challenge| Raw {
                scheme: challenge.scheme.to_owned(),
                params: challenge
                    .params
                    .iter()
                    .map(|(key, value)| ((*key).to_owned(), value.to_unescaped()))
                    .collect(),
            })
        })
        .collect();
    strict.unwrap_or_else(|_| parse_tolerantly(header))
}

/// Takes words for what they look like: with a `=` behind it a parameter, otherwise a scheme, or
/// the rest of an unquoted list (`scope=repository:a:pull,push`).
fn parse_tolerantly(header: &str) -> Vec<Raw> {
    let is_between = |c: char| c.is_whitespace() || c == ',';
    let mut challenges: Vec<Raw> = Vec::new();
    let mut last_is_unquoted = false;
    let mut rest = header.trim_start_matches(is_between);
    while !rest.is_empty() {
        let end = rest.find(|c| is_between(c) || c == '=').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let value = behind.trim_start().strip_prefix('=').map(str::trim_start);
        rest = match (value, challenges.last_mut()) {
            (Some(value), Some(challenge)) => {
                let (value, after, quoted) = take_value(value);
                challenge.params.push((word.to_owned(), value));
                last_is_unquoted = !quoted;
                after
            }
            // A parameter of nothing.
            (Some(value), None) => take_value(value).1,
            (None, Some(challenge)) if last_is_unquoted && !opens_a_challenge(word, behind) => {
                if let Some((_, value)) = challenge.params.last_mut() {
                    value.push(',');
                    value.push_str(word);
                }
                behind
            }
            (None, _) => {
                challenges.push(Raw { scheme: word.to_owned(), params: Vec::new() });
                last_is_unquoted = false;
                behind
            }
        }
        .trim_start_matches(is_between);
    }
    challenges
}

/// Whether `word` is a scheme: a known one, or with a parameter right behind it.
fn opens_a_challenge(word: &str, behind: &str) -> bool {
    const KNOWN: [&str; 5] = ["basic", "bearer", "digest", "negotiate", "ntlm"];
    let next = behind.strip_prefix(' ').and_then(|behind| behind.split([',', ' ']).next());
    KNOWN.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
        || next.is_some_and(|next| next.contains('='))
}

/// A value, what comes behind it, and whether it stood in quotes. Quotes that do not end reach to
/// the end of the header.
fn take_value(text: &str) -> (String, &str, bool) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || c == ',').unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..], false);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((index, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[index + 1..], true),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "", true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[track_caller]
    fn check(headers: &[&str], expected: &str) {
        let mut map = HeaderMap::new();
        for header in headers {
            map.append(WWW_AUTHENTICATE, HeaderValue::from_bytes(header.as_bytes()).unwrap());
        }
        let got = match choose(&map) {
            Asked::Nothing => "nothing".to_owned(),
            Asked::For(Challenge::Basic) => "basic".to_owned(),
            Asked::For(Challenge::Bearer(bearer)) => format!(
                "{} {} [{}]",
                bearer.realm,
                bearer.service.as_deref().unwrap_or("-"),
                bearer.scopes
            ),
            Asked::Unknown(schemes) => format!("unknown {}", schemes.join(" ")),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn challenges_of_real_registries() {
        // Docker Hub.
        check(
            &[
                r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/alpine:pull""#,
            ],
            "https://auth.docker.io/token registry.docker.io [repository:library/alpine:pull]",
        );
        // GHCR.
        check(
            &[
                r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:user/image:pull""#,
            ],
            "https://ghcr.io/token ghcr.io [repository:user/image:pull]",
        );
        // GitLab.
        check(
            &[
                r#"Bearer realm="https://gitlab.com/jwt/auth",service="container_registry",scope="repository:group/app:pull,push",error="insufficient_scope""#,
            ],
            "https://gitlab.com/jwt/auth container_registry [repository:group/app:pull,push]",
        );
        // Gitea: two headers, and a Bearer that says neither for what nor for whom.
        check(
            &[
                r#"Bearer realm="https://gitea.example.com/v2/token",service="container_registry",scope="*""#,
                r#"Basic realm="https://gitea.example.com/v2",service="container_registry",scope="*""#,
            ],
            "https://gitea.example.com/v2/token container_registry []",
        );
        check(
            &[r#"Basic realm="Gitea""#, r#"Bearer realm="https://gitea.example.com/v2/token""#],
            "https://gitea.example.com/v2/token - []",
        );
        // Quay.
        check(
            &[
                r#"Bearer realm="https://quay.io/v2/auth",service="quay.io",scope="repository:org/app:pull,push""#,
            ],
            "https://quay.io/v2/auth quay.io [repository:org/app:pull,push]",
        );
        // Harbor: a mount's challenge has both repositories.
        check(
            &[
                r#"Bearer realm="https://harbor.example.com/service/token",service="harbor-registry",scope="repository:p/app:pull,push repository:q/base:pull""#,
            ],
            "https://harbor.example.com/service/token harbor-registry [repository:p/app:pull,push repository:q/base:pull]",
        );
        // ECR.
        check(
            &[
                r#"Basic realm="https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com""#,
            ],
            "basic",
        );
        // Artifactory: both in one header.
        check(
            &[
                r#"Basic realm="Artifactory Realm", Bearer realm="https://art.example.com/artifactory/api/docker/docker/v2/token",service="art.example.com""#,
            ],
            "https://art.example.com/artifactory/api/docker/docker/v2/token art.example.com []",
        );
    }

    #[test]
    fn case_quotes_and_spaces_do_not_matter() {
        let expected = "https://a.example/t svc [repository:a:pull]";
        check(
            &[r#"bearer REALM="https://a.example/t",Service=svc,SCOPE="repository:a:pull""#],
            expected,
        );
        check(
            &[
                r#"BEARER   realm = "https://a.example/t" ,  service = "svc" , scope="repository:a:pull","#,
            ],
            expected,
        );
        check(
            &[r#"Bearer realm=https://a.example/t,service=svc,scope=repository:a:pull"#],
            expected,
        );
        check(
            &[r#"Bearer realm="https://a.example/t" service="svc" scope="repository:a:pull""#],
            expected,
        );
        check(&[r#"bAsIc realm="x""#], "basic");
        check(&["Basic"], "basic");
    }

    #[test]
    fn an_unquoted_list_stays_one_value() {
        check(
            &["Bearer realm=https://a.example/t,scope=repository:a:pull,push,service=svc"],
            "https://a.example/t svc [repository:a:pull,push]",
        );
        check(&["Bearer scope=repository:a:pull,push, Basic realm=https://x/y"], "basic");
    }

    #[test]
    fn malformed_challenges_are_read_as_far_as_they_go() {
        check(&[], "nothing");
        check(&["", " , ,"], "nothing");
        check(&["Bearer"], "unknown Bearer");
        check(&[r#"Bearer realm="""#], "unknown Bearer");
        check(&[r#"Bearer service="no realm""#, "Basic realm=x"], "basic");
        check(&[r#"Bearer realm="https://a.example/t"#], "https://a.example/t - []");
        check(&[r#"Bearer realm="https://a.example/\"t""#], "https://a.example/\"t - []");
        check(&[r#"realm="https://a.example/t""#], "nothing");
        check(&["=,=\"", "\"\\"], "unknown \"\\");
        check(&["Negotiate", "NTLM"], "unknown Negotiate NTLM");
        check(&["Negotiate", r#"Basic realm="x""#], "basic");
        check(&["Negotiate YWJj==, Basic realm=\"ä\""], "basic");
    }

    #[test]
    fn any_header_is_read() {
        let mut random = fastrand::Rng::with_seed(7);
        let alphabet: Vec<char> = "Bearer realm=\"\\, \t:/ä".chars().collect();
        for _ in 0..20_000 {
            let length = random.usize(..40);
            let header: String = (0..length).filter_map(|_| random.choice(&alphabet)).collect();
            parse(&header);
            parse_tolerantly(&header);
        }
    }

    #[test]
    fn both_parsers_agree_where_the_grammar_is_kept() {
        for header in [
            r#"Bearer realm="https://a/t",service=svc,scope="repository:a:pull,push", Basic realm="x""#,
            r#"Basic realm="a, b=\"c\"", Bearer realm="",service="""#,
            "Negotiate, Basic realm=x",
            r#"Digest realm="x", nonce=abc, qop="auth,auth-int", Basic realm="y""#,
        ] {
            let flat = |raws: Vec<Raw>| format!("{raws:?}");
            assert_eq!(flat(parse(header)), flat(parse_tolerantly(header)));
        }
    }
}
