//! Random choices from the seed that libFuzzer gives for each mutation.

use libfuzzer_sys::fuzzer_mutate;

/// A source of choices: xorshift.
pub struct Random(u64);

impl Random {
    /// The choices of a seed.
    pub fn from_seed(seed: u32) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below a limit; 0 if the limit is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % limit.max(1)
    }

    /// Picks one of the choices.
    pub fn pick<'t, T>(&mut self, choices: &'t [T]) -> Option<&'t T> {
        choices.get(self.below(choices.len()))
    }
}

/// Bytes mutated by libFuzzer, with room to grow by 64.
pub fn mutate_bytes(bytes: &[u8]) -> Vec<u8> {
    let mut room = bytes.to_vec();
    room.resize(bytes.len() + 64, 0);
    let (size, most) = (bytes.len(), room.len());
    let size = fuzzer_mutate(&mut room, size, most);
    room.truncate(size);
    room
}

/// Writes a mutated input over the old one, if there is room for it; otherwise libFuzzer mutates the old one.
pub fn write_or_mutate(input: &mut [u8], size: usize, most: usize, mutated: Option<Vec<u8>>) -> usize {
    match mutated {
        Some(mutated) if mutated.len() <= most && !mutated.is_empty() => {
            input[..mutated.len()].copy_from_slice(&mutated);
            mutated.len()
        }
        _ => fuzzer_mutate(input, size, most),
    }
}
