//! The code: `arch/x86/entry/entry_64.S` and the part of `arch/x86/entry/common.c` around the tables.

use super::Hypercall;
use super::asm::Function;
use crate::dispatch::Dispatch;

pub(super) struct Exception {
    pub vector: u8,
    pub name: &'static str,
}
impl Exception {
    pub(super) fn entry(&self) -> String {
        format!("asm_exc_{}", self.name)
    }
}
pub(super) const EXCEPTIONS: [Exception; 0] = [];

pub(super) fn functions(_dispatch: &Dispatch, _hypercalls: &mut Vec<Hypercall>) -> Vec<Function> {
    Vec::new()
}
