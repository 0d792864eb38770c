//! Regular expressions on `namespace/repository` or on tags, by which operators select them.
//!
//! Anchored at both ends, like those of Prometheus: `team/app` matches one repository, `team/.*` all of an organization. The
//! syntax is that of the crate `regex`. Matching takes time in proportion to the name, and the compiled size is bounded.

use regex::{Regex, RegexBuilder};
use std::fmt;
use std::str::FromStr;

/// The largest compiled expression in bytes: some thousand names joined by `|`.
const MAX_COMPILED_SIZE: usize = 1 << 20;

/// An expression that matches a whole name.
#[derive(Clone)]
pub struct Pattern {
    text: String,
    expression: Regex,
}

impl Pattern {
    /// Whether it matches the repository.
    pub fn matches(&self, namespace: &str, repository: &str) -> bool {
        let mut name = String::with_capacity(namespace.len() + 1 + repository.len());
        name.push_str(namespace);
        name.push('/');
        name.push_str(repository);
        self.is_match(&name)
    }

    /// Whether it matches the whole text.
    pub fn is_match(&self, text: &str) -> bool {
        self.expression.is_match(text)
    }

    /// The expression as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl FromStr for Pattern {
    type Err = String;

    /// Parses an expression. The error is one line.
    fn from_str(text: &str) -> Result<Self, String> {
        let compile = |expression: &str| RegexBuilder::new(expression).size_limit(MAX_COMPILED_SIZE).build();
        // Without the anchors first: with them `a)(b` would be valid, and errors would show them.
        let compiled = compile(text).and_then(|_| compile(&format!("^(?s:{text})$")));
        match compiled {
            Ok(expression) => Ok(Self { text: text.to_owned(), expression }),
            Err(regex::Error::CompiledTooBig(limit)) => {
                Err(format!("`{text}` takes more than {limit} bytes when it is compiled; make it simpler"))
            }
            Err(problem) => {
                let problem = problem.to_string();
                let reason = problem.lines().last().unwrap_or_default().trim_start_matches("error: ");
                Err(format!("invalid regular expression `{text}`: {reason}"))
            }
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pattern({:?})", self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, name: (&str, &str)) -> bool {
        pattern.parse::<Pattern>().unwrap().matches(name.0, name.1)
    }

    #[test]
    fn the_whole_name_has_to_match() {
        let name = ("team", "app/web");
        for pattern in ["team/app/web", "team/.*", ".*/web", "team/app/(web|api)", "x|team/app/web", "(?i)TEAM/APP/WEB"]
        {
            assert!(matches(pattern, name), "{pattern}");
        }
        for pattern in ["team", "app/web", "team/app", "eam/app/web", "team/app/we", "team/app/web/|x", ""] {
            assert!(!matches(pattern, name), "{pattern}");
        }
        assert!(matches("team/.*", ("team", "odd\nname")), "a name is one line to a dot");
        assert!(!matches("team/odd", ("team", "odd\n")), "the end is the end");
        assert!(matches("a|ab", ("", "")) == matches("x", ("", "")), "and nothing is neither");
        assert!(matches("a/b|a/bc", ("a", "bc")), "no alternative hides a longer one");
    }

    #[test]
    fn what_is_no_expression_is_refused_on_one_line() {
        for (pattern, reason) in [
            ("team/(", "unclosed group"),
            ("a)(b", "unopened group"),
            ("[z-a]", "invalid character class range"),
            ("team/*{2", "unclosed counted repetition"),
            ("(?=x)", "look-around"),
            (r"(x{1000}){1000}", "takes more than 1048576 bytes"),
            ("(?x) a # b", "unclosed group"),
        ] {
            let problem = pattern.parse::<Pattern>().unwrap_err();
            assert!(problem.contains(reason) && problem.contains(pattern) && !problem.contains('\n'), "{problem}");
        }
    }

    #[test]
    fn two_of_one_text_are_one() {
        let parse = |text: &str| text.parse::<Pattern>().unwrap();
        assert_eq!(parse("a/.*"), parse("a/.*").clone());
        assert_ne!(parse("a/.*"), parse("a/b"));
        assert_eq!(format!("{:?} {}", parse("a/.*"), parse("b").as_str()), "Pattern(\"a/.*\") b");
    }
}
