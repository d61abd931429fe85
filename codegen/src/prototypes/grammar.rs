//! The grammar, in a module of its own because what `pest` derives is `pub`.

use pest_derive::Parser;

#[derive(Parser)]
#[grammar = "prototypes/prototypes.pest"]
pub(super) struct Grammar;
