//! What was measured of one push, and what many of them say together.

use serde::{Deserialize, Serialize};

use crate::stopwatch::Time;

/// One push by one client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Sample {
    pub(crate) time: Time,
    pub(crate) counts: Counts,
}

/// What was seen of a push from outside of it; each `None` where nobody could see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) requests: Option<u64>,
    /// Requests that change something: all but HEAD and GET.
    pub(crate) writes: Option<u64>,
    pub(crate) connections: Option<u64>,
    /// The longest chain of connects and requests of which each waited for the one before.
    pub(crate) round_trips: Option<u64>,
    /// To the registry.
    pub(crate) bytes_up: Option<u64>,
    /// From the registry.
    pub(crate) bytes_down: Option<u64>,
}

/// Where the middle half of some numbers lies.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// Fewer rounds than that tell nothing of a ratio.
const LEAST_ROUNDS: usize = 3;

impl Spread {
    /// Of numbers that are there; `None` where there are none.
    pub(crate) fn of(numbers: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut numbers: Vec<_> = numbers.into_iter().collect();
        numbers.sort_by(f64::total_cmp);
        let at = |part: f64| {
            let place = part * (numbers.len().checked_sub(1)? as f64);
            let (below, above) = (place.floor(), place.ceil());
            let number = |place: f64| numbers.get(place as usize).copied();
            let (low, high) = (number(below)?, number(above)?);
            Some(low + (high - low) * (place - below))
        };
        Some(Spread { low: at(0.25)?, median: at(0.5)?, high: at(0.75)? })
    }

    /// Of what each round's pair says, `ours / theirs`; `None` where there are too few rounds that
    /// both have.
    pub(crate) fn of_ratios(ours: &[Option<f64>], theirs: &[Option<f64>]) -> Option<Spread> {
        let pairs =
            ours.iter().zip(theirs).filter_map(|(ours, theirs)| Some((*ours)? / (*theirs)?));
        Spread::of_enough(pairs)
    }

    /// Of numbers that compare something; `None` where there are too few of them to tell anything.
    pub(crate) fn of_enough(numbers: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let numbers: Vec<_> = numbers.into_iter().collect();
        if numbers.len() < LEAST_ROUNDS { None } else { Spread::of(numbers) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(numbers: &[f64], expected: Option<(f64, f64, f64)>) {
        let spread = Spread::of(numbers.iter().copied());
        assert_eq!(spread.map(|spread| (spread.low, spread.median, spread.high)), expected);
    }

    #[test]
    fn the_middle_half_lies_between_the_quartiles() {
        check(&[], None);
        check(&[7.0], Some((7.0, 7.0, 7.0)));
        check(&[3.0, 1.0], Some((1.5, 2.0, 2.5)));
        check(&[5.0, 1.0, 4.0, 2.0, 3.0], Some((2.0, 3.0, 4.0)));
    }

    #[test]
    fn a_ratio_is_of_the_same_round_and_of_three_at_least() {
        let ours = [Some(1.0), Some(2.0), None, Some(3.0)];
        let spread = Spread::of_ratios(&ours, &[Some(2.0), Some(2.0), Some(1.0), Some(1.5)]);
        assert_eq!(spread, Some(Spread { low: 0.75, median: 1.0, high: 1.5 }));
        assert_eq!(Spread::of_ratios(&ours, &[Some(2.0), Some(2.0), Some(1.0), None]), None);
    }
}
