//! What a token is asked for: `repository:org/app:pull,push`.
//!
//! Grammar: <https://distribution.github.io/distribution/spec/auth/scope/>.

use std::fmt;

use windlass_oci::RepositoryName;

/// Some actions on one resource, none of them twice.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Scope {
    kind: String,
    name: String,
    actions: Vec<String>,
}

/// Scopes in the order in which they are asked for; what the request is about comes first,
/// because some token servers look at the first alone.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Scopes(Vec<Scope>);

impl Scope {
    /// Reading `repository`.
    #[must_use]
    pub fn pull(repository: &RepositoryName) -> Scope {
        Scope::of(repository, &["pull"])
    }

    /// Writing to `repository`; reading is part of it.
    #[must_use]
    pub fn push(repository: &RepositoryName) -> Scope {
        Scope::of(repository, &["pull", "push"])
    }

    /// Deleting from `repository`.
    #[must_use]
    pub fn delete(repository: &RepositoryName) -> Scope {
        Scope::of(repository, &["delete"])
    }

    fn of(repository: &RepositoryName, actions: &[&str]) -> Scope {
        Scope {
            kind: "repository".to_owned(),
            name: repository.as_str().to_owned(),
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        }
    }

    /// Reads `TYPE:NAME:ACTION,…`; `None` where it is not that. The name may hold colons
    /// (`host:port/name`), so it is what lies between the first colon and the last.
    #[must_use]
    pub fn parse(text: &str) -> Option<Scope> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        if kind.is_empty() || name.is_empty() {
            return None;
        }
        let mut scope = Scope { kind: kind.to_owned(), name: name.to_owned(), actions: Vec::new() };
        for action in actions.split(',').filter(|action| !action.is_empty()) {
            scope.add(action);
        }
        Some(scope)
    }

    /// Whether whoever may do this may do all of `other`.
    #[must_use]
    pub fn covers(&self, other: &Scope) -> bool {
        let may = |action: &String| self.actions.iter().any(|own| own == action || own == "*");
        self.is_about_the_same_as(other) && other.actions.iter().all(may)
    }

    fn is_about_the_same_as(&self, other: &Scope) -> bool {
        self.kind == other.kind && self.name == other.name
    }

    fn add(&mut self, action: &str) {
        if !self.actions.iter().any(|own| own == action) {
            self.actions.push(action.to_owned());
        }
    }
}

impl Scopes {
    /// Reading `repository`.
    #[must_use]
    pub fn pull(repository: &RepositoryName) -> Scopes {
        Scope::pull(repository).into()
    }

    /// Writing to `repository`.
    #[must_use]
    pub fn push(repository: &RepositoryName) -> Scopes {
        Scope::push(repository).into()
    }

    /// Mounting into `repository` a blob that `source` has.
    #[must_use]
    pub fn mount(repository: &RepositoryName, source: &RepositoryName) -> Scopes {
        Scopes::push(repository).with(Scope::pull(source))
    }

    /// Reads a list of scopes between spaces, as challenges have it. What is no scope is dropped.
    #[must_use]
    pub fn parse(text: &str) -> Scopes {
        text.split_whitespace().filter_map(Scope::parse).fold(Scopes::default(), Scopes::with)
    }

    /// These and `more`: behind them, or joined with the one about the same resource.
    #[must_use]
    pub fn with(mut self, more: Scope) -> Scopes {
        match self.0.iter_mut().find(|scope| scope.is_about_the_same_as(&more)) {
            Some(scope) => more.actions.iter().for_each(|action| scope.add(action)),
            None => self.0.push(more),
        }
        self
    }

    /// These and all of `others`, in that order.
    #[must_use]
    pub fn merge(self, others: &Scopes) -> Scopes {
        others.0.iter().cloned().fold(self, Scopes::with)
    }

    /// The first alone.
    #[must_use]
    pub fn first_only(&self) -> Scopes {
        Scopes(self.0.iter().take(1).cloned().collect())
    }

    /// Those that `keep` says yes to; the first always stays.
    #[must_use]
    pub fn retain_extras(&self, keep: impl Fn(&Scope) -> bool) -> Scopes {
        let kept =
            |(index, scope): (usize, &Scope)| (index == 0 || keep(scope)).then(|| scope.clone());
        Scopes(self.0.iter().enumerate().filter_map(kept).collect())
    }

    /// Whether a token for these serves a request that needs `others`: they are about the same
    /// first resource, and each of the others is covered.
    ///
    /// The first counts because it chose the credential, and because of the others one cannot
    /// know whether the token server left them out.
    #[must_use]
    pub fn serve(&self, others: &Scopes) -> bool {
        match (self.0.first(), others.0.first()) {
            (Some(own), Some(other)) => own.is_about_the_same_as(other) && self.cover(others),
            _ => self == others,
        }
    }

    /// Whether each of `others` is among these.
    #[must_use]
    pub fn cover(&self, others: &Scopes) -> bool {
        others.0.iter().all(|other| self.0.iter().any(|own| own.covers(other)))
    }

    /// One after another.
    pub fn iter(&self) -> impl Iterator<Item = &Scope> {
        self.0.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Scope> for Scopes {
    fn from(scope: Scope) -> Scopes {
        Scopes(vec![scope])
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

/// Between spaces, as the OAuth2 form and people have it.
impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, scope) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            scope.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn scopes_as_challenges_have_them() {
        #[track_caller]
        fn check(text: &str, expected: &str) {
            assert_eq!(Scopes::parse(text).to_string(), expected);
        }
        check("repository:a/b:pull,push", "repository:a/b:pull,push");
        check("repository:host:5000/a/b:pull", "repository:host:5000/a/b:pull");
        check("repository(plugin):a:pull", "repository(plugin):a:pull");
        check("registry:catalog:*", "registry:catalog:*");
        check("  repository:a:pull   repository:b:pull ", "repository:a:pull repository:b:pull");
        check("repository:a:pull repository:a:push,pull", "repository:a:pull,push");
        check("repository:a:", "repository:a:");
        check("repository:a:,pull,,", "repository:a:pull");
        check("nonsense repository:a:pull : ::", "repository:a:pull");
        check("", "");
    }

    #[test]
    fn the_push_scope_comes_first_and_the_mount_source_behind_it() {
        assert_eq!(
            Scopes::mount(&name("to/app"), &name("base/image")).to_string(),
            "repository:to/app:pull,push repository:base/image:pull"
        );
        assert_eq!(
            Scopes::mount(&name("same"), &name("same")).to_string(),
            "repository:same:pull,push"
        );
    }

    #[test]
    fn what_a_challenge_asks_for_goes_behind_what_we_ask_for() {
        let ours = Scopes::push(&name("a"));
        let theirs = Scopes::parse("repository:b:pull repository:a:delete,pull");
        assert_eq!(
            ours.merge(&theirs).to_string(),
            "repository:a:pull,push,delete repository:b:pull"
        );
    }

    #[test]
    fn a_token_for_more_serves_a_need_for_less_on_the_same_repository() {
        #[track_caller]
        fn check(have: &str, need: &str, expected: bool) {
            assert_eq!(Scopes::parse(have).serve(&Scopes::parse(need)), expected);
        }
        check("repository:a:pull,push", "repository:a:pull", true);
        check("repository:a:pull,push", "repository:a:push,pull", true);
        check("repository:a:pull", "repository:a:pull,push", false);
        check("repository:a:*", "repository:a:delete", true);
        check("repository:a:pull", "repository:b:pull", false);
        check("repository:a:pull,push repository:b:pull", "repository:a:pull", true);
        check("repository:a:pull,push repository:b:pull", "repository:b:pull", false);
        check("repository:a:pull,push", "repository:a:pull,push repository:b:pull", false);
        check("", "", true);
        check("repository:a:pull", "", false);
    }

    #[test]
    fn extras_can_be_left_out_but_the_first_stays() {
        let scopes = Scopes::mount(&name("a"), &name("b"));
        assert_eq!(scopes.retain_extras(|_| false), scopes.first_only());
        assert_eq!(scopes.first_only(), Scopes::push(&name("a")));
    }
}
