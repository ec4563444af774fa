//! How much a host is asked at once: a decision without a clock or a socket.
//!
//! Additive increase, multiplicative decrease, as TCP has it: as long as all goes well one request
//! more is let out for each round of them, and when the host pushes back (429, 503) half as many.
//! So a host that takes all that it is asked gets all that may be asked, and one that does not is
//! never far above what it takes.

/// How many requests are in flight to a host at most, large bodies among them.
pub(crate) const REQUESTS: usize = 24;
/// How many of them are always left for small ones, where there are so many.
const SMALL: usize = 4;
/// However many bodies are wanted at once.
const MOST: usize = 256;
/// One body, and one small request beside it.
const LEAST: usize = 2;

/// What is asked of a host at once.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    jobs: usize,
    most: usize,
    window: usize,
    /// How many requests of this round have gone well since the window last grew.
    went_well: usize,
    round: Round,
}

/// The time between two cuts of the window: what was let out before a cut tells nothing of what
/// came of it, so that the many refusals of one burst count as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Round(u64);

/// What a host says of how much it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// Nothing.
    WentWell,
    /// It is too much.
    PushedBack,
}

impl Pace {
    /// At most `jobs` large bodies at once.
    pub(crate) fn new(jobs: usize) -> Pace {
        let most = REQUESTS.max(jobs.saturating_add(SMALL).min(MOST));
        Pace { jobs: jobs.max(1), most, window: most, went_well: 0, round: Round::default() }
    }

    /// How many large bodies may be in flight.
    pub(crate) fn bodies(&self) -> usize {
        let part = self.jobs.min(self.most - SMALL) * self.window / self.most;
        // What is wanted where all may be asked, and the same part of it as of everything else.
        let part = if self.window == self.most { self.jobs } else { part.max(1) };
        part.min(self.window - self.left_for_small())
    }

    /// How many small requests may be in flight beside `bodies` large ones. Bodies that were let
    /// out before the window was cut may be more than it has room for; small ones pass them.
    pub(crate) fn small(&self, bodies: usize) -> usize {
        self.window.saturating_sub(bodies).max(self.left_for_small())
    }

    /// The round that a request belongs to that is let out now.
    pub(crate) fn round(&self) -> Round {
        self.round
    }

    /// An answer to a request of `round`.
    pub(crate) fn heard(&mut self, round: Round, word: Word) {
        if round != self.round {
            return;
        }
        match word {
            Word::WentWell => {
                self.went_well += 1;
                if self.went_well >= self.window {
                    self.window = self.most.min(self.window + 1);
                    self.went_well = 0;
                }
            }
            Word::PushedBack => {
                self.window = LEAST.max(self.window / 2);
                self.went_well = 0;
                self.round.0 += 1;
            }
        }
    }

    fn left_for_small(&self) -> usize {
        SMALL.min(self.window / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What may be in flight after so many answers: bodies, and small requests beside none of them.
    #[track_caller]
    fn check(jobs: usize, words: &[(usize, Word)], expected: (usize, usize)) {
        let mut pace = Pace::new(jobs);
        for (count, word) in words {
            for _ in 0..*count {
                pace.heard(pace.round(), *word);
            }
        }
        assert_eq!((pace.bodies(), pace.small(0)), expected, "{jobs} {words:?}");
    }

    #[test]
    fn the_window_is_halved_by_a_push_back_and_grows_by_one_a_round() {
        use Word::*;
        check(8, &[], (8, 24));
        check(8, &[(1, PushedBack)], (4, 12));
        check(8, &[(2, PushedBack)], (2, 6));
        check(8, &[(1, PushedBack), (11, WentWell)], (4, 12));
        check(8, &[(1, PushedBack), (12, WentWell)], (4, 13));
        check(8, &[(1, PushedBack), (12 + 13 + 14, WentWell)], (5, 15));
        // What went well before a cut does not count after it.
        check(8, &[(1, PushedBack), (11, WentWell), (1, PushedBack), (5, WentWell)], (2, 6));
    }

    #[test]
    fn it_never_grows_above_what_was_wanted_and_never_comes_to_a_stop() {
        use Word::*;
        check(8, &[(10_000, WentWell)], (8, 24));
        check(1, &[(10_000, WentWell)], (1, 24));
        check(0, &[], (1, 24));
        check(100, &[], (100, 104));
        check(usize::MAX, &[], (252, 256));
        check(8, &[(100, PushedBack)], (1, 2));
        check(8, &[(100, PushedBack), (2, WentWell)], (1, 3));
        check(8, &[(100, PushedBack), (1000, WentWell)], (8, 24));
    }

    #[test]
    fn the_refusals_of_one_burst_count_as_one() {
        let mut pace = Pace::new(8);
        let burst = pace.round();
        for _ in 0..24 {
            pace.heard(burst, Word::PushedBack);
        }
        assert_eq!(pace.small(0), 12);
        // Nor does the window grow by what was let out before.
        for _ in 0..100 {
            pace.heard(burst, Word::WentWell);
        }
        assert_eq!(pace.small(0), 12);
    }

    #[test]
    fn bodies_that_are_out_already_leave_room_for_small_requests() {
        let mut pace = Pace::new(8);
        assert_eq!(pace.small(8), 16);
        pace.heard(pace.round(), Word::PushedBack);
        assert_eq!(pace.small(8), 4);
        for _ in 0..5 {
            pace.heard(pace.round(), Word::PushedBack);
        }
        assert_eq!(pace.small(8), 1);
    }
}
