//! From numbers to places on a sheet, and which numbers are written at an axis.

/// Round numbers from 0 to at least `most`, four to seven of them.
pub(super) fn ticks(most: f64) -> Vec<f64> {
    if most <= 0.0 {
        return vec![0.0];
    }
    let rough = most / 5.0;
    let power = 10_f64.powf(rough.log10().floor());
    let step = [1.0, 2.0, 2.5, 5.0, 10.0].iter().map(|factor| factor * power);
    let step = step.into_iter().find(|step| *step >= rough).unwrap_or(10.0 * power);
    let count = (most / step).ceil() as u32;
    (0..=count).map(|number| f64::from(number) * step).collect()
}

/// The powers of ten from the one at or below `least` to the one at or above `most`.
pub(super) fn decades(least: f64, most: f64) -> Vec<f64> {
    let (first, last) = (least.log10().floor() as i32, most.log10().ceil() as i32);
    (first..=last.max(first + 1)).map(|power| 10_f64.powi(power)).collect()
}

/// Where a number lies between two others, by its logarithm: 0 at the first, 1 at the second.
pub(super) fn part(number: f64, first: f64, last: f64) -> f64 {
    (number / first).ln() / (last / first).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_reach_the_largest() {
        let rounded =
            |most: f64| ticks(most).iter().map(|tick| format!("{tick:.3}")).collect::<Vec<_>>();
        assert_eq!(rounded(1.0), ["0.000", "0.200", "0.400", "0.600", "0.800", "1.000"]);
        assert_eq!(rounded(0.13), ["0.000", "0.050", "0.100", "0.150"]);
        assert_eq!(ticks(0.0), [0.0]);
        for most in [0.003, 0.7, 2.6, 19.0, 4321.0] {
            let ticks = ticks(most);
            assert!((3..=7).contains(&ticks.len()), "{most}: {ticks:?}");
            assert!(*ticks.last().unwrap_or(&0.0) >= most);
        }
    }

    #[test]
    fn decades_hold_both_ends() {
        assert_eq!(decades(10.0, 10_000.0), [10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!(decades(3.0, 7.0), [1.0, 10.0]);
        assert!((part(100.0, 10.0, 1000.0) - 0.5).abs() < 1e-9);
    }
}
