//! Any bytes are a table or an error about them; a table prints as one that reads the same, and every output is made
//! of it, or refused.
//!
//! `cargo +nightly fuzz run table -- -max_len=4096 -timeout=10`

#![no_main]

use callgate_codegen::dispatch::Dispatch;
use callgate_codegen::{AbiFilter, Table, default_abis, emit};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let table = match Table::from_bytes("fuzz.tbl", bytes) {
        Ok(table) => table,
        Err(error) => {
            assert!(!error.diagnostics().is_empty());
            return;
        }
    };
    let printed = table.to_string();
    let again = Table::parse("fuzz.tbl", printed.as_str()).expect("what is printed is a table");
    assert!(table.rows().eq(again.rows()), "printing changes the rows");
    assert_eq!(again.to_string(), printed, "printing twice is printing once");
    for abis in [AbiFilter::all(), default_abis(&table)] {
        emit::unistd(&table, "unistd.h", &emit::Unistd { abis: abis.clone(), ..emit::Unistd::default() });
        let _ = emit::syscalls(&table, &abis);
        let _ = emit::rust(&table, &abis);
        // Arrays of the largest numbers only take time.
        if table.next_number(&abis) < 2000
            && let Ok(dispatch) = Dispatch::new((&table, &abis), None)
        {
            emit::dispatch(&dispatch, "crate::Task");
            emit::entries(&dispatch);
        }
    }
});
