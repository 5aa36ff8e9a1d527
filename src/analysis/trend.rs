//! The running mood of a call: one number that moves with each turn, more with long ones.
//!
//! m ← m + 0.5 · w · (s − m), w = min(1, 0.25 + words / 8). Pure arithmetic.

/// How far a full-weight turn pulls the trend towards its own score.
const PULL: f32 = 0.5;
/// Weight of a turn of no words, and the words that add 1 to it.
const WEIGHT_MIN: f32 = 0.25;
const WORDS_PER_WEIGHT: f32 = 8.0;

/// The trend after a turn of `words` words scored `score`, from `before`; all scores are −1.0 to 1.0.
#[must_use]
pub fn after_turn(before: f32, score: f32, words: usize) -> f32 {
    let words = f32::from(u16::try_from(words).unwrap_or(u16::MAX));
    let weight = (WEIGHT_MIN + words / WORDS_PER_WEIGHT).min(1.0);
    before + PULL * weight * (score - before)
}

/// Mean score of each quarter of a call, by the turn's place in time; `None` where nobody spoke.
///
/// `turns` are (end of the turn in ms, score); the quarters divide 0 to the last end.
#[must_use]
pub fn quarter_means(turns: &[(u64, f32)]) -> [Option<f32>; 4] {
    let length_ms = turns.iter().map(|(end_ms, _)| *end_ms).max().unwrap_or(0).max(1);
    let mut sums = [(0.0_f32, 0.0_f32); 4];
    for (end_ms, score) in turns {
        let quarter = usize::try_from(end_ms.saturating_sub(1).saturating_mul(4) / length_ms).unwrap_or(3);
        let (sum, count) = &mut sums[quarter.min(3)];
        *sum += score;
        *count += 1.0;
    }
    sums.map(|(sum, count)| (count > 0.0).then(|| sum / count))
}

/// How much the mood rose (positive) or fell between the first and the last quarter somebody spoke in.
#[must_use]
pub fn shift(quarters: &[Option<f32>; 4]) -> Option<f32> {
    let first = quarters.iter().position(Option::is_some)?;
    let last = quarters.iter().rposition(Option::is_some)?;
    if first == last {
        return None;
    }
    quarters[last]
        .zip(quarters[first])
        .map(|(end, begin)| end - begin)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_turn_pulls_half_way_and_a_short_one_less() {
        assert!((after_turn(0.0, -1.0, 20) + 0.5).abs() < 1e-6);
        assert!((after_turn(0.0, -1.0, 2) + 0.25).abs() < 1e-6);
    }

    #[test]
    fn quarters_follow_time_and_the_shift_joins_the_spoken_ends() {
        let quarters = quarter_means(&[(1_000, 0.5), (2_000, 0.1), (9_000, -0.5), (10_000, -0.7)]);
        assert_eq!(
            quarters.map(|mean| mean.map(|m| (m * 10.0).round())),
            [Some(3.0), None, None, Some(-6.0)]
        );
        assert!((shift(&quarters).expect("both ends spoke") + 0.9).abs() < 1e-6);
        assert_eq!(shift(&quarter_means(&[])), None);
    }

    proptest! {
        #[test]
        fn the_trend_stays_between_where_it_was_and_the_score(
            before in -1.0_f32..=1.0, score in -1.0_f32..=1.0, words in 0_usize..500,
        ) {
            let after = after_turn(before, score, words);
            prop_assert!(after >= before.min(score) - 1e-6 && after <= before.max(score) + 1e-6);
        }
    }
}
