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
    /// Who gave a token last.
    granted: Option<TokenServer>,
    /// Who gave one the last time, before anything was asked this time.
    recalled: Option<TokenServer>,
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
        self.recalled = None;
        self.granted.take_if(|server| *way != Way::Bearer(server.clone()));
        self.ways.insert(repository.clone(), way.clone());
        if !self.wanted.get(ours).unwrap_or(ours).cover(theirs) {
            self.wanted.insert(ours.clone(), ours.clone().merge(theirs));
        }
    }

    /// It gave a token.
    pub(super) fn granted(&mut self, server: &TokenServer) {
        self.granted = Some(server.clone());
    }

    /// It gave a token the last time.
    pub(super) fn recall(&mut self, server: TokenServer) {
        self.recalled = Some(server);
    }

    /// Who gave a token the last time, as long as nobody has asked there.
    pub(super) fn recalled(&self) -> Option<&TokenServer> {
        self.recalled.as_ref()
    }

    /// Somebody has asked there: what gave a token is taken for what the registry wants until it
    /// says otherwise, and what gave none is forgotten.
    pub(super) fn try_recalled(&mut self, server: &TokenServer, has_given: bool) {
        self.recalled = None;
        if has_given && self.last.is_none() {
            self.last = Some(Way::Bearer(server.clone()));
        }
    }

    /// Who is to be asked the next time.
    pub(super) fn to_recall(&self) -> Option<&TokenServer> {
        self.granted.as_ref().or(self.recalled.as_ref())
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
    fn what_is_to_be_recalled_is_who_gave_a_token_and_is_still_wanted() {
        let name: RepositoryName = "a".parse().unwrap();
        let server = |realm: &str| TokenServer { realm: realm.parse().unwrap(), service: None };
        let (old, new) = (server("https://old.io/t"), server("https://new.io/t"));
        let known = || {
            let mut known = Known::default();
            known.recall(old.clone());
            known
        };
        let learn = |known: &mut Known, way: Way| {
            known.learn(&name, &way, &Scopes::push(&name), &Scopes::default());
        };
        // Nobody has asked yet: nothing is known, and nothing forgotten.
        let mut recalled = known();
        assert_eq!((recalled.way(&name), recalled.to_recall()), (None, Some(&old)));
        // It gave none.
        recalled.try_recalled(&old, false);
        assert_eq!((recalled.way(&name), recalled.to_recall()), (None, None));
        // It gave one.
        let mut recalled = known();
        recalled.granted(&old);
        recalled.try_recalled(&old, true);
        assert_eq!(recalled.way(&name), Some(&Way::Bearer(old.clone())));
        assert_eq!((recalled.recalled(), recalled.to_recall()), (None, Some(&old)));
        // Another is wanted, which has given none yet.
        learn(&mut recalled, Way::Bearer(new.clone()));
        assert_eq!(recalled.to_recall(), None);
        recalled.granted(&new);
        assert_eq!(recalled.to_recall(), Some(&new));
        learn(&mut recalled, Way::Basic);
        assert_eq!(recalled.to_recall(), None);
        // What the registry has said counts more than what comes late of what was recalled.
        let mut recalled = known();
        learn(&mut recalled, Way::Basic);
        recalled.try_recalled(&old, true);
        assert_eq!((recalled.way(&name), recalled.to_recall()), (Some(&Way::Basic), None));
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
