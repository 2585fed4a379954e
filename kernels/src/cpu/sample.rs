use super::top_k::best as best_of_row;
use crate::isa::{features, for_each_isa};
use crate::lanes::{Lanes, largest};
use crate::philox::{gumbel, philox4x32, token_words};
use crate::reference::check_sample;
use crate::rows::for_each_row;
use crate::{Isa, Result, Sampling, math};

/// See [`reference::sample`](crate::reference::sample).
///
/// # Errors
///
/// The same.
pub fn sample(
    logits: &[f32],
    width: usize,
    sampling: &Sampling,
    positions: &[u64],
    ids: &mut [u32],
) -> Result<()> {
    check_sample(logits, width, sampling, positions, ids)?;
    let isa = features();
    for_each_row(ids, 1, 2 * width, |row, id| {
        let logits = &logits[row * width..(row + 1) * width];
        id[0] = choose(isa, logits, sampling, positions[row]);
    });
    Ok(())
}

fn choose(isa: Isa, row: &[f32], sampling: &Sampling, position: u64) -> u32 {
    let greedy = argmax(isa, row);
    if sampling.is_greedy() {
        return greedy;
    }
    let mut race = Race {
        row,
        sampling,
        position,
        token: 0,
        value: f64::NAN,
    };
    match filtered(isa, row, greedy, sampling) {
        Some(kept) => kept.into_iter().for_each(|token| race.enter(token)),
        None => {
            // The favourite first: few can still beat it.
            race.enter(greedy);
            run(isa, &mut race);
        }
    }
    race.token
}

pub(super) fn argmax(isa: Isa, row: &[f32]) -> u32 {
    for_each_isa!(isa, lanes argmax_row(row: &[f32]) -> u32)
}

/// The first of the largest numbers; 0 when all are NaN.
#[inline(always)]
fn argmax_row<V: Lanes>(row: &[f32]) -> u32 {
    let largest = largest::<V>(row);
    for (batch, numbers) in row.chunks(BATCH).enumerate() {
        // Without a way out in the middle, so that it vectorizes.
        let mut found = false;
        for x in numbers {
            found |= *x == largest;
        }
        if found {
            let offset = numbers.iter().position(|x| *x == largest).unwrap_or(0);
            return (batch * BATCH + offset) as u32;
        }
    }
    0
}

/// Tokens compete by logit / temperature + noise; the smaller id wins a tie.
struct Race<'a> {
    row: &'a [f32],
    sampling: &'a Sampling,
    position: u64,
    token: u32,
    value: f64,
}

impl Race<'_> {
    fn enter(&mut self, token: u32) {
        let scaled = f64::from(self.row[token as usize]) / f64::from(self.sampling.temperature);
        let words = token_words(self.sampling.seed, self.position, token / 4);
        let value = scaled + gumbel(words[token as usize % 4]);
        let wins = value > self.value || value == self.value && token < self.token;
        if !value.is_nan() && (wins || self.value.is_nan()) {
            (self.token, self.value) = (token, value);
        }
    }
}

/// Tokens that are looked at side by side.
const BATCH: usize = 64;

fn run(isa: Isa, race: &mut Race) {
    for_each_isa!(isa, run_all(race: &mut Race))
}

/// Enters every token that has a chance. For a uniform `u`, `-ln u >= 1 - u`, so the noise `-ln(-ln u)` is at most
/// `-ln(1 - u)`; a token whose `1 - u` is above `e^(scaled - best)` cannot win, which takes no logarithm to see.
#[inline(always)]
fn run_all(race: &mut Race) {
    let inverse = 1.0 / race.sampling.temperature;
    let key = [race.sampling.seed as u32, (race.sampling.seed >> 32) as u32];
    let position = [race.position as u32, (race.position >> 32) as u32];
    let row = race.row;
    for (batch, logits) in row.chunks(BATCH).enumerate() {
        let first = batch * BATCH;
        let mut words = [[0u32; 4]; BATCH / 4];
        for (block, words) in words.iter_mut().enumerate() {
            let block = (first / 4 + block) as u32;
            *words = philox4x32([block, 0, position[0], position[1]], key);
        }
        let best = race.value as f32;
        let mut chances = [false; BATCH];
        for ((chance, x), word) in chances.iter_mut().zip(logits).zip(words.as_flattened()) {
            let scaled = x * inverse;
            // Generous to the errors of this estimate, so that the result is exact.
            let slack = 1e-3 + 1e-6 * (scaled.abs() + best.abs());
            let complement = (16_777_216.0 - (word >> 8) as f32) / 16_777_216.0 - 1e-7;
            let bound = math::exp(scaled - best + slack);
            *chance = complement <= bound || bound.is_nan();
        }
        if chances.iter().any(|chance| *chance) {
            for (offset, chance) in chances.iter().enumerate() {
                // Beyond the end of the row none is set.
                if *chance {
                    race.enter((first + offset) as u32);
                }
            }
        }
    }
}

/// The tokens that the filters leave, or nothing when no filter is set. Each filter keeps the front of the row in
/// descending order, so only as much of it as is needed gets sorted.
pub(super) fn filtered(
    isa: Isa,
    row: &[f32],
    greedy: u32,
    sampling: &Sampling,
) -> Option<Vec<u32>> {
    let Sampling {
        temperature,
        top_k,
        top_p,
        min_p,
        ..
    } = *sampling;
    let limit = if top_k == 0 {
        row.len()
    } else {
        top_k.min(row.len())
    };
    if limit == row.len() && top_p >= 1.0 && min_p <= 0.0 {
        return None;
    }
    let largest = f64::from(row[greedy as usize]);
    if !largest.is_finite() {
        return Some(vec![greedy]);
    }
    let weight =
        |token: u32| ((f64::from(row[token as usize]) - largest) / f64::from(temperature)).exp();
    let enough = |sum: f64, total: f64| sum >= f64::from(top_p) * total;

    // What min-p and top-k leave is known first when there is a top-k, and is everything when there is neither.
    let everything = top_k == 0 && min_p <= 0.0;
    let mut total = f64::INFINITY;
    if everything {
        total = (0..row.len() as u32)
            .map(weight)
            .filter(|weight| !weight.is_nan())
            .sum();
    }
    let mut count = if top_k == 0 { 64.min(limit) } else { limit };
    loop {
        let mut front = vec![0; count];
        best_of_row(isa, row, &mut front);
        front.retain(|token| !row[*token as usize].is_nan());
        let found = front.len();
        if min_p > 0.0 {
            front.retain(|token| weight(*token) >= f64::from(min_p));
        }
        let complete = count == limit || front.len() < found;
        if !everything && complete {
            let mut ascending = front.clone();
            ascending.sort_unstable();
            total = ascending.into_iter().map(weight).sum();
        }
        let mut sum = 0.0;
        let mut kept = 0;
        while kept < front.len() && !(top_p < 1.0 && enough(sum, total)) {
            sum += weight(front[kept]);
            kept += 1;
        }
        if complete || everything && enough(sum, total) {
            front.truncate(kept);
            return Some(front);
        }
        count = (8 * count).min(limit);
    }
}
