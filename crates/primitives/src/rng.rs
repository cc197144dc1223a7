//! A small seeded random number generator: for the order in which select looks at its cases and thieves at their
//! victims. Not for secrets.

use std::cell::Cell;

/// SplitMix64 (Steele, Lea, Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014): one add and
/// two multiplications a number, every seed is good, and two seeds give unrelated sequences.
///
/// # Examples
///
/// ```
/// use gorust_primitives::rng::Rng;
///
/// let (a, b) = (Rng::new(7), Rng::new(7));
/// assert_eq!(a.next_u64(), b.next_u64());
/// assert!(a.below(10) < 10);
/// ```
#[derive(Debug)]
pub struct Rng(Cell<u64>);

impl Rng {
    /// Creates a generator whose whole future is `seed`.
    pub const fn new(seed: u64) -> Self {
        Self(Cell::new(seed))
    }

    /// Starts again from `seed`.
    pub fn reseed(&self, seed: u64) {
        self.0.set(seed);
    }

    /// Starts again from `seed`. What it returns brings the present sequence back, as a seed.
    pub fn replace(&self, seed: u64) -> u64 {
        self.0.replace(seed)
    }

    /// Returns 64 random bits.
    #[inline]
    pub fn next_u64(&self) -> u64 {
        let state = self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.0.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Returns a number in `0..bound`; 0 when `bound` is 0.
    ///
    /// The bias of the multiply-shift (Lemire, *Fast random integer generation in an interval*, 2019) is below
    /// `bound / 2^32`: nothing that a choice among cases or victims could show.
    #[inline]
    pub fn below(&self, bound: u32) -> u32 {
        let high = self.next_u64() >> 32;
        ((high * u64::from(bound)) >> 32) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_is_spread_over_all_values() {
        let rng = Rng::new(1);
        let mut seen = [0_u32; 8];
        for _ in 0..8_000 {
            seen[rng.below(8) as usize] += 1;
        }
        assert!(seen.iter().all(|&count| (800..1200).contains(&count)), "{seen:?}");
    }

    #[test]
    fn below_zero_is_zero() {
        assert_eq!(Rng::new(3).below(0), 0);
    }
}
