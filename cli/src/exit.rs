//! Exit codes, as env(1) and the shells give them: the program's own, 128+n if signal n has ended it,
//! 127 if there is no such program, 126 if it can't be executed, 125 if the failure is ours.

use std::fmt;

/// Why nothing was run, or why a run was ended from outside.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The exit code.
    pub(crate) code: u8,
    /// One line for a person, without `callgate: ` before it.
    pub(crate) message: String,
}

/// What a command ends with: an exit code.
pub(crate) type Result<T = u8, E = Failure> = std::result::Result<T, E>;

impl Failure {
    /// A failure of callgate itself, its options included.
    pub(crate) fn own(message: impl Into<String>) -> Failure {
        Failure { code: 125, message: message.into() }
    }

    /// The program is there, and can't be run.
    pub(crate) fn not_executable(message: impl Into<String>) -> Failure {
        Failure { code: 126, message: message.into() }
    }

    /// There is no such program, or it needs one that isn't there.
    pub(crate) fn not_found(message: impl Into<String>) -> Failure {
        Failure { code: 127, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// The exit code for a status as wait(2) tells it.
pub(crate) fn code_of(wait_status: i32) -> u8 {
    let code = match wait_status & 0x7f {
        0 => wait_status >> 8,
        signal => 128 + signal,
    };
    code as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_is_the_programs_or_128_and_the_signal() {
        assert_eq!(code_of(0), 0);
        assert_eq!(code_of(7 << 8), 7);
        assert_eq!(code_of(255 << 8), 255);
        assert_eq!(code_of(11), 139);
        // Bit 7 says that there was a core dump.
        assert_eq!(code_of(6 | 0x80), 134);
    }
}
