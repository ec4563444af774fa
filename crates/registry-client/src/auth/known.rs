//! What was learned of a registry by its refusals.

use std::collections::{HashMap, HashSet};

use windlass_oci::RepositoryName;

use super::token::TokenServer;
use super::{Scope, Scopes};

/// What was learned of a registry.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What it asked for last.
    last: Option<Way>,
    /// What it asked for at a repository. Artifactory has a token server for each of its own
    /// repositories, all on one host.
    ways: HashMap<RepositoryName, Way>,
    /// What it wants for these scopes, where that is more.
    wanted: HashMap<Scopes, Scopes>,
    /// Which scopes are not to be had beside which first scope.
    unavailable: HashSet<(Scope, Scope)>,
}

/// How a registry wants to know who we are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// By the credential itself.
    Basic,
    /// By a token of this server's.
    Bearer(TokenServer),
}

impl Known {
    /// What it asked for at `repository`, or else elsewhere.
    pub(super) fn way(&self, repository: &RepositoryName) -> Option<&Way> {
        self.ways.get(repository).or(self.last.as_ref())
    }

    /// At `repository` it asks for `way`, where our scopes are `ours`, for `theirs`.
    pub(super) fn learn(
        &mut self,
        repository: &RepositoryName,
        way: &Way,
        ours: &Scopes,
        theirs: &Scopes,
    ) {
        self.last = Some(way.clone());
        self.ways.insert(repository.clone(), way.clone());
        if !self.wanted.get(ours).unwrap_or(ours).cover(theirs) {
            self.wanted.insert(ours.clone(), ours.clone().merge(theirs));
        }
    }

    /// What a token for `scopes` has to be asked for.
    pub(super) fn wanted_for(&self, scopes: &Scopes) -> Scopes {
        let wanted = self.wanted.get(scopes).unwrap_or(scopes);
        let Some(first) = wanted.iter().next() else {
            return wanted.clone();
        };
        wanted.retain_extras(|extra| !self.unavailable.contains(&(first.clone(), extra.clone())))
    }

    /// All but the first of `wanted` are not to be had beside it.
    pub(super) fn give_up_extras(&mut self, wanted: &Scopes) {
        let mut scopes = wanted.iter();
        if let Some(first) = scopes.next() {
            self.unavailable.extend(scopes.map(|extra| (first.clone(), extra.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(realm: &str) -> Way {
        Way::Bearer(TokenServer { realm: realm.parse().unwrap(), service: None })
    }

    #[test]
    fn repositories_of_one_host_may_have_token_servers_of_their_own() {
        let (a, b): (RepositoryName, RepositoryName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut known = Known::default();
        assert_eq!(known.way(&a), None);
        known.learn(&a, &way("https://r.io/a"), &Scopes::push(&a), &Scopes::default());
        assert_eq!(known.way(&b), Some(&way("https://r.io/a")));
        known.learn(&b, &way("https://r.io/b"), &Scopes::push(&b), &Scopes::default());
        assert_eq!(known.way(&a), Some(&way("https://r.io/a")));
        assert_eq!(known.way(&b), Some(&way("https://r.io/b")));
    }

    #[test]
    fn extras_that_are_not_to_be_had_are_left_out_even_where_they_are_wanted() {
        let (a, b): (RepositoryName, RepositoryName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mount = Scopes::mount(&a, &b);
        let mut known = Known::default();
        known.give_up_extras(&mount);
        known.learn(&a, &Way::Basic, &mount, &mount.clone().with(Scope::delete(&a)));
        assert_eq!(
            known.wanted_for(&mount).to_string(),
            "repository:a:pull,push,delete repository:b:pull"
        );
        known.give_up_extras(&known.wanted_for(&mount));
        assert_eq!(known.wanted_for(&mount).to_string(), "repository:a:pull,push,delete");
        assert_eq!(known.wanted_for(&Scopes::pull(&b)), Scopes::pull(&b));
    }
}
