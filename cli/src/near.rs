//! Near names, for whoever has mistyped one.

/// `; did you mean `a` or `b`?`, or nothing if no candidate is near.
pub(crate) fn suggestion<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> String {
    let near = nearest(name, candidates);
    match near.as_slice() {
        [] => String::new(),
        [only] => format!("; did you mean `{only}`?"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
            format!("; did you mean {} or `{last}`?", first.join(", "))
        }
    }
}

/// At most three candidates, the nearest first.
fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let distance = |candidate: &str| {
        // `write` is near to `__x64_sys_write`, though most of its letters are missing.
        if !name.is_empty() && candidate.strip_suffix(name).is_some_and(|rest| rest.ends_with('_')) {
            return Some(0);
        }
        let distance = strsim::osa_distance(name, candidate);
        (distance <= 1 + name.chars().count() / 4).then_some(distance)
    };
    let mut near: Vec<_> =
        candidates.filter_map(|candidate| distance(candidate).map(|distance| (distance, candidate))).collect();
    near.sort();
    near.dedup();
    near.into_iter().map(|(_, candidate)| candidate).take(3).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_suggested_and_far_ones_are_not() {
        let names = ["read", "write", "writev", "__x64_sys_write"];
        assert_eq!(suggestion("wrte", names.into_iter()), "; did you mean `write` or `writev`?");
        assert_eq!(suggestion("write_", names.into_iter()), "; did you mean `write` or `writev`?");
        assert_eq!(suggestion("x64_sys_write", names.into_iter()), "; did you mean `__x64_sys_write`?");
        assert_eq!(suggestion("frobnicate", names.into_iter()), "");
    }
}
