//! Lists of names.

/// Names by number, one after another in one text.
///
/// A slice of `&str` has an address for each, which in a program that can be loaded anywhere are worked out at its start,
/// whether anybody reads them or not; this has two.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    text: &'static str,
    ends: &'static [u32],
}

impl Names {
    /// Of a text, and where in it each of the names ends: the next one begins there.
    #[must_use]
    pub const fn new(text: &'static str, ends: &'static [u32]) -> Self {
        Self { text, ends }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The name of a number.
    #[must_use]
    pub fn get(&self, number: usize) -> Option<&'static str> {
        let end = *self.ends.get(number)?;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.text.get(start as usize..end as usize)
    }

    /// All, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &'static str> + use<> {
        let names = *self;
        (0..names.len()).filter_map(move |number| names.get(number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_by_number() {
        let names = Names::new("readwriteopen", &[4, 4, 9, 13]);
        assert_eq!([0, 1, 2, 3, 4].map(|n| names.get(n)), [Some("read"), Some(""), Some("write"), Some("open"), None]);
        assert!(names.iter().eq(["read", "", "write", "open"]));
        assert_eq!((names.len(), names.is_empty()), (4, false));
    }
}
