//! Cuts a JSON array into its objects while the body is still arriving.
//!
//! A page may be megabytes of tag names that nobody needs; here at most one object of it is held at a time. The cutter
//! knows just enough of JSON to find where an object ends; each object then goes through a real parser.

/// How deep an object may nest. The API nests two deep; the parser's own limit is 128.
const DEEPEST: usize = 32;

/// Why a body is not an array of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// Something else than `[` came first.
    #[error("expected a JSON array, found {found:?} at byte {at}")]
    NotAnArray {
        /// The character, as far as it is one.
        found: char,
        /// Where.
        at: u64,
    },
    /// Something else than an object, a comma or the end stood in the array.
    #[error("expected {expected}, found {found:?} at byte {at}")]
    Unexpected {
        /// What could have stood there.
        expected: &'static str,
        /// What did.
        found: char,
        /// Where.
        at: u64,
    },
    /// The body ended within the array.
    #[error("the array was cut off after {at} bytes")]
    CutOff {
        /// How long the body was.
        at: u64,
    },
    /// The body held nothing.
    #[error("the body is empty")]
    Empty,
    /// Nested deeper than any answer of the API.
    #[error("an object nests deeper than {DEEPEST} levels at byte {at}")]
    TooDeep {
        /// Where.
        at: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    /// After `[`: an object or the end.
    First,
    /// After a comma: an object.
    Next,
    /// After an object: a comma or the end.
    Between,
    Object,
    Text,
    Escape,
    End,
}

/// The cutter; feed it the body piece by piece.
#[derive(Debug)]
pub struct JsonArraySplitter {
    state: State,
    depth: usize,
    /// The beginning of an object that the next piece goes on with.
    held: Vec<u8>,
    seen: u64,
}

impl Default for JsonArraySplitter {
    fn default() -> Self {
        Self { state: State::Start, depth: 0, held: Vec::new(), seen: 0 }
    }
}

impl JsonArraySplitter {
    /// Takes the next piece of the body and hands each object that is complete to `object`.
    ///
    /// # Errors
    /// What `object` says, or [`ArrayError`] when this can no longer be an array of objects.
    pub fn feed<E: From<ArrayError>>(
        &mut self,
        piece: &[u8],
        mut object: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut start = 0;
        let mut at = 0;
        while at < piece.len() {
            match self.state {
                State::Text => {
                    let Some(found) = memchr::memchr2(b'"', b'\\', &piece[at..]) else {
                        break;
                    };
                    at += found;
                    self.state = if piece[at] == b'"' { State::Object } else { State::Escape };
                }
                State::Escape => self.state = State::Text,
                State::Object => match piece[at] {
                    b'"' => self.state = State::Text,
                    b'{' | b'[' => self.open(at)?,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            let end = &piece[start..=at];
                            if self.held.is_empty() {
                                object(end)?;
                            } else {
                                self.held.extend_from_slice(end);
                                object(&self.held)?;
                                self.held.clear();
                            }
                            self.state = State::Between;
                        }
                    }
                    _ => {}
                },
                State::Start | State::First | State::Next | State::Between | State::End => {
                    if !piece[at].is_ascii_whitespace() {
                        start = at;
                        self.outside(piece[at], at)?;
                    }
                }
            }
            at += 1;
        }
        if matches!(self.state, State::Object | State::Text | State::Escape) {
            self.held.extend_from_slice(&piece[start..]);
        }
        self.seen += piece.len() as u64;
        Ok(())
    }

    /// The body has ended.
    ///
    /// # Errors
    /// When the array has not.
    pub fn finish(self) -> Result<(), ArrayError> {
        match self.state {
            State::End => Ok(()),
            State::Start => Err(ArrayError::Empty),
            _ => Err(ArrayError::CutOff { at: self.seen }),
        }
    }

    fn open(&mut self, at: usize) -> Result<(), ArrayError> {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(ArrayError::TooDeep { at: self.seen + at as u64 });
        }
        Ok(())
    }

    fn outside(&mut self, byte: u8, at: usize) -> Result<(), ArrayError> {
        let at = self.seen + at as u64;
        let unexpected = |expected| ArrayError::Unexpected { expected, found: char::from(byte), at };
        self.state = match (self.state, byte) {
            (State::Start, b'[') => State::First,
            (State::Start, _) => return Err(ArrayError::NotAnArray { found: char::from(byte), at }),
            (State::First | State::Next, b'{') => {
                self.depth = 1;
                State::Object
            }
            (State::First | State::Between, b']') => State::End,
            (State::Between, b',') => State::Next,
            (State::First, _) => return Err(unexpected("an object or the end of the array")),
            (State::Next, _) => return Err(unexpected("an object")),
            (State::Between, _) => return Err(unexpected("a comma or the end of the array")),
            (State::End, _) => return Err(unexpected("nothing after the array")),
            (State::Object | State::Text | State::Escape, _) => unreachable!("handled where objects are read"),
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(body: &[u8], piece: usize) -> Result<Vec<String>, ArrayError> {
        let mut cutter = JsonArraySplitter::default();
        let mut objects = Vec::new();
        for piece in body.chunks(piece.max(1)) {
            cutter.feed(piece, |object| {
                objects.push(String::from_utf8_lossy(object).into_owned());
                Ok::<_, ArrayError>(())
            })?;
        }
        cutter.finish()?;
        Ok(objects)
    }

    const PAGE: &str = r#" [ {"a":"}]\"{","b":[1,{"c":[]}]} ,{"d":"\\"},{}
    ] "#;

    #[test]
    fn objects_are_found_whatever_the_pieces() {
        let expected = [r#"{"a":"}]\"{","b":[1,{"c":[]}]}"#, r#"{"d":"\\"}"#, "{}"];
        for piece in 1..=PAGE.len() {
            assert_eq!(cut(PAGE.as_bytes(), piece).unwrap(), expected, "pieces of {piece}");
        }
        assert_eq!(cut(b"[]", 1).unwrap(), [""; 0]);
    }

    #[test]
    fn a_body_cut_off_anywhere_is_an_error() {
        let whole = PAGE.trim_end().len();
        for end in 0..whole {
            assert!(cut(&PAGE.as_bytes()[..end], 7).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn what_is_no_array_of_objects_is_refused_with_its_place() {
        for (body, message) in [
            ("", "the body is empty"),
            ("  ", "the body is empty"),
            ("null", "expected a JSON array, found 'n' at byte 0"),
            ("{}", "expected a JSON array, found '{' at byte 0"),
            ("\u{feff}[]", "expected a JSON array, found 'ï' at byte 0"),
            ("[1]", "expected an object or the end of the array, found '1' at byte 1"),
            ("[{},]", "expected an object, found ']' at byte 4"),
            ("[{}{}]", "expected a comma or the end of the array, found '{' at byte 3"),
            ("[]x", "expected nothing after the array, found 'x' at byte 2"),
        ] {
            assert_eq!(cut(body.as_bytes(), 64).unwrap_err().to_string(), message);
        }
        let deep = format!("[{}", "{\"a\":".repeat(100_000));
        assert!(matches!(cut(deep.as_bytes(), 4096), Err(ArrayError::TooDeep { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_one_verdict(body in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
            prop_assert_eq!(cut(&body, piece).ok(), cut(&body, body.len()).ok());
        }
    }
}
