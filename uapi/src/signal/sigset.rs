//! Sets of signals: `sigset_t` as the kernel has it, one 64-bit word.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign, Not};

use callgate_abi::CType;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::numbers::{SIGKILL, SIGSTOP, SignalName, valid_signal};
use crate::traced::Traced;

/// A set of signals: bit n-1 is signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(transparent)]
pub struct SigSet(pub u64);

impl SigSet {
    /// No signal.
    pub const EMPTY: SigSet = SigSet(0);
    /// The two that nobody can block, catch or ignore.
    pub const UNBLOCKABLE: SigSet = SigSet::of(&[SIGKILL, SIGSTOP]);

    /// The set of these signals.
    pub const fn of(signals: &[i32]) -> SigSet {
        let mut bits = 0;
        let mut i = 0;
        while i < signals.len() {
            bits |= 1 << (signals[i] - 1);
            i += 1;
        }
        SigSet(bits)
    }

    /// Whether `sig` is in the set.
    pub const fn contains(self, sig: i32) -> bool {
        valid_signal(sig) && self.0 >> (sig - 1) & 1 != 0
    }

    /// Adds `sig`.
    pub fn insert(&mut self, sig: i32) {
        if valid_signal(sig) {
            self.0 |= 1 << (sig - 1);
        }
    }

    /// Removes `sig`.
    pub fn remove(&mut self, sig: i32) {
        if valid_signal(sig) {
            self.0 &= !(1 << (sig - 1));
        }
    }

    /// Whether it has no signal.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its signals in rising order.
    pub fn iter(self) -> impl Iterator<Item = i32> {
        (1..=64).filter(move |&sig| self.contains(sig))
    }

    /// The lowest signal.
    pub fn first(self) -> Option<i32> {
        (self.0 != 0).then(|| self.0.trailing_zeros() as i32 + 1)
    }
}

impl BitOr for SigSet {
    type Output = SigSet;
    fn bitor(self, other: SigSet) -> SigSet {
        SigSet(self.0 | other.0)
    }
}

impl BitOrAssign for SigSet {
    fn bitor_assign(&mut self, other: SigSet) {
        self.0 |= other.0;
    }
}

impl BitAnd for SigSet {
    type Output = SigSet;
    fn bitand(self, other: SigSet) -> SigSet {
        SigSet(self.0 & other.0)
    }
}

impl Not for SigSet {
    type Output = SigSet;
    fn not(self) -> SigSet {
        SigSet(!self.0)
    }
}

/// As strace prints it: `[INT CHLD]`, and the complement where that is shorter, `~[KILL STOP]`.
impl fmt::Display for SigSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inverted = self.0.count_ones() > 42;
        let shown = if inverted { !*self } else { *self };
        f.write_str(if inverted { "~[" } else { "[" })?;
        for (i, sig) in shown.iter().enumerate() {
            if i > 0 {
                f.write_str(" ")?;
            }
            f.write_str(&SignalName(sig).to_string()[3..])?;
        }
        f.write_str("]")
    }
}

impl CType for SigSet {
    const NAME: &'static str = "sigset_t";
}

impl Traced for SigSet {
    fn trace(&self, f: &mut dyn fmt::Write) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = SigSet::default();
        for sig in [-1, 0, 1, 64, 65, i32::MAX, i32::MIN] {
            set.insert(sig);
        }
        assert_eq!(set.iter().collect::<Vec<_>>(), [1, 64]);
        set.remove(1);
        assert_eq!(set.first(), Some(64));
        assert!(!set.contains(0) && !set.contains(65) && !set.contains(i32::MIN));
    }

    #[test]
    fn sets_read_as_in_strace() {
        assert_eq!(SigSet::EMPTY.to_string(), "[]");
        assert_eq!(SigSet::of(&[2, 17, 33]).to_string(), "[INT CHLD RT_1]");
        assert_eq!((!SigSet::of(&[32, 33])).to_string(), "~[RTMIN RT_1]");
    }
}
