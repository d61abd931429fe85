//! Linux's scripts choose rows with `--abis common,64`, which they turn into the regular expression
//! `^[0-9]+[[:space:]]+(common|64)`. Nothing ends the abi there, so a choice matches as a prefix: `spu` does not choose
//! `nospu`, but `n` would choose `n32` and `n64`. We choose the same rows.

use std::fmt;

/// A choice of abis: those that begin with one of its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbiFilter(Option<Vec<String>>);

impl AbiFilter {
    /// Every row.
    pub const fn all() -> Self {
        Self(None)
    }

    /// The rows of the abis in a comma-separated list; of all abis if the list is empty.
    pub fn new(list: &str) -> Self {
        match list {
            "" => Self::all(),
            _ => Self(Some(list.split(',').map(str::to_owned).collect())),
        }
    }

    /// Whether a row of this abi is chosen.
    pub fn matches(&self, abi: &str) -> bool {
        match &self.0 {
            None => true,
            Some(prefixes) => prefixes.iter().any(|prefix| abi.starts_with(prefix.as_str())),
        }
    }
}

impl Default for AbiFilter {
    fn default() -> Self {
        Self::all()
    }
}

/// The list as `--abis` takes it.
impl fmt::Display for AbiFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            None => f.write_str("all"),
            Some(prefixes) => f.write_str(&prefixes.join(",")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::AbiFilter;

    #[test]
    fn an_abi_is_chosen_by_its_beginning_as_linux_does() {
        let filter = AbiFilter::new("common,spu");
        assert!(filter.matches("common") && filter.matches("spu") && filter.matches("spu2"));
        assert!(!filter.matches("nospu") && !filter.matches("64"));
        assert!(AbiFilter::new("").matches("anything"));
        assert!(AbiFilter::new("64,").matches("anything"), "an empty alternative matches");
    }
}
