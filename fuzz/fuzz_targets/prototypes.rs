//! Any bytes are prototypes or an error about them, and prototypes print as such that read the same.
//!
//! `cargo +nightly fuzz run prototypes -- -max_len=4096 -timeout=10`

#![no_main]

use callgate_codegen::Prototypes;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| match Prototypes::from_bytes("fuzz.h", bytes) {
    Ok(prototypes) => {
        let printed: String = prototypes.list().iter().map(|one| format!("{one}\n")).collect();
        let again = Prototypes::parse("fuzz.h", &printed).expect("what is printed are prototypes");
        assert_eq!(again.list(), prototypes.list());
    }
    Err(error) => assert!(!error.diagnostics().is_empty()),
});
