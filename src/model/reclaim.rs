//! Clean-up rules: which tags of a repository could be deleted.
//!
//! Both kinds of rules follow one order of the tags, from the one updated longest ago to the one updated last, so each
//! picks the first so many of them. Deliberately absent: bytes, which depend on other repositories (`layers`).

use super::pattern::Pattern;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The most rules at once.
pub const MAX_RULES: usize = 8;

/// The longest age in days: a hundred years.
const MAX_DAYS: u32 = 36_500;

/// The most tags that a rule keeps; a repository has no more.
const MAX_KEPT: u32 = 100_000;

/// One rule. The service's own retention has the same two kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Picks the tags that were last updated at least so many full days ago.
    OlderThan {
        /// Days.
        days: u32,
    },
    /// Picks all but so many tags, those updated last.
    BeyondNewest {
        /// The number of tags that stay.
        count: u32,
    },
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OlderThan { days } => write!(f, "older_than_{days}d"),
            Self::BeyondNewest { count } => write!(f, "beyond_newest_{count}"),
        }
    }
}

impl FromStr for Rule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str, most: u32| {
            let number = digits.parse().ok().filter(|number| (1..=most).contains(number));
            // `007` and `+7` would give two names to one rule.
            number.filter(|number: &u32| number.to_string() == digits)
        };
        if let Some(rest) = text.strip_prefix("older_than_") {
            let days = rest.strip_suffix('d').and_then(|digits| number(digits, MAX_DAYS));
            let wrong = || format!("`{text}`: the age is 1 to {MAX_DAYS} days, as in older_than_90d");
            return days.map(|days| Self::OlderThan { days }).ok_or_else(wrong);
        }
        if let Some(digits) = text.strip_prefix("beyond_newest_") {
            let wrong = || format!("`{text}`: the number of tags that stay is 1 to {MAX_KEPT}, as in beyond_newest_10");
            return number(digits, MAX_KEPT).map(|count| Self::BeyondNewest { count }).ok_or_else(wrong);
        }
        Err(format!("`{text}` is no rule such as older_than_90d or beyond_newest_10"))
    }
}

/// The rules in force, at most [`MAX_RULES`], each once, and the tags that none of them picks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reclaim {
    /// The rules, in the order in which they were given.
    pub rules: Arc<[Rule]>,
    /// Tags whose whole name this matches are never picked, and do not count among the newest.
    pub keep: Option<Pattern>,
}

impl Default for Reclaim {
    fn default() -> Self {
        let rules = [Rule::OlderThan { days: 90 }, Rule::BeyondNewest { count: 10 }];
        Self { rules: rules.into(), keep: None }
    }
}

impl Reclaim {
    /// No rules.
    pub fn none() -> Self {
        Self { rules: Arc::default(), keep: None }
    }
}

/// Parses rules, of which there may be none. The error is every problem, one line each.
pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Arc<[Rule]>, Vec<String>> {
    let (mut rules, mut problems) = (Vec::new(), Vec::new());
    for text in texts {
        match text.parse::<Rule>() {
            Ok(rule) if rules.contains(&rule) => problems.push(format!("`{text}` is there twice; leave one out")),
            Ok(rule) => rules.push(rule),
            Err(problem) => problems.push(problem),
        }
    }
    if rules.len() > MAX_RULES {
        problems.push(format!("{} rules are too many; give at most {MAX_RULES}", rules.len()));
    }
    if problems.is_empty() { Ok(rules.into()) } else { Err(problems) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read_as_they_are_printed() {
        for text in ["older_than_1d", "older_than_36500d", "beyond_newest_1", "beyond_newest_100000"] {
            assert_eq!(text.parse::<Rule>().unwrap().to_string(), text);
        }
        assert_eq!(parse(["older_than_90d", "beyond_newest_10"]), Ok(Reclaim::default().rules));
        assert_eq!(parse([]), Ok(Reclaim::none().rules));
    }

    #[test]
    fn every_wrong_rule_is_reported_with_an_example() {
        let problems = parse([
            "older_than_0d",
            "older_than_90",
            "older_than_007d",
            "beyond_newest_0",
            "beyond_newest_x",
            "90d",
            "",
            "older_than_5d",
            "older_than_5d",
        ])
        .unwrap_err();
        assert_eq!(
            problems,
            [
                "`older_than_0d`: the age is 1 to 36500 days, as in older_than_90d",
                "`older_than_90`: the age is 1 to 36500 days, as in older_than_90d",
                "`older_than_007d`: the age is 1 to 36500 days, as in older_than_90d",
                "`beyond_newest_0`: the number of tags that stay is 1 to 100000, as in beyond_newest_10",
                "`beyond_newest_x`: the number of tags that stay is 1 to 100000, as in beyond_newest_10",
                "`90d` is no rule such as older_than_90d or beyond_newest_10",
                "`` is no rule such as older_than_90d or beyond_newest_10",
                "`older_than_5d` is there twice; leave one out",
            ]
        );
        let many: Vec<String> = (1..=9).map(|days| format!("older_than_{days}d")).collect();
        let problems = parse(many.iter().map(String::as_str)).unwrap_err();
        assert_eq!(problems, ["9 rules are too many; give at most 8"]);
    }
}
