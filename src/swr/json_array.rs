//! Splits a JSON array into its objects while the body is still arriving.
//!
//! A page may contain megabytes of tag names that are not needed. The splitter holds at most one object at a time. It knows
//! just enough JSON to find the end of an object; each object is then parsed by a real parser.

/// The deepest nesting of an object. The API nests two levels; the parser's own limit is 128.
const MAX_DEPTH: usize = 32;

const NULL: &[u8] = b"null";

/// Why a body is not an array of objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArrayError {
    /// The body is no array, or the array contains something other than objects.
    #[error("expected {expected}, found {found:?} at byte {at}")]
    Unexpected {
        /// What could be there.
        expected: &'static str,
        /// The byte that was found, as a character.
        found: char,
        /// The position in bytes.
        at: u64,
    },
    /// The body ended before the array.
    #[error("the array was cut off after {at} bytes")]
    CutOff {
        /// The length of the body in bytes.
        at: u64,
    },
    /// The body is empty.
    #[error("the body is empty")]
    Empty,
    /// Nested deeper than any response of the API.
    #[error("an object nests deeper than {MAX_DEPTH} levels at byte {at}")]
    TooDeep {
        /// The position in bytes.
        at: u64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SplitterState {
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
    /// Within `null`, of which so many letters were there.
    Null(usize),
    End,
}

/// Takes the objects of an array.
pub trait ObjectSink<E> {
    /// Takes an object that is known, if the text begins with it, and returns how long it is.
    fn known(&mut self, _text: &[u8]) -> Option<usize> {
        None
    }

    /// Takes an object. An error ends the reading of the array.
    fn object(&mut self, object: &[u8]) -> Result<(), E>;
}

impl<E, F: FnMut(&[u8]) -> Result<(), E>> ObjectSink<E> for F {
    fn object(&mut self, object: &[u8]) -> Result<(), E> {
        self(object)
    }
}

/// The splitter, which takes the body piece by piece.
#[derive(Debug)]
pub struct JsonArraySplitter {
    state: SplitterState,
    depth: usize,
    /// The beginning of an object that continues in the next piece.
    partial: Vec<u8>,
    consumed: u64,
}

impl Default for JsonArraySplitter {
    fn default() -> Self {
        Self { state: SplitterState::Start, depth: 0, partial: Vec::new(), consumed: 0 }
    }
}

impl JsonArraySplitter {
    /// Takes the next piece of the body, and passes each complete object to `sink`. A `null` in the place of an object counts
    /// as one without keys: it costs its row and not the page.
    ///
    /// # Errors
    /// The error of `sink`, or [`ArrayError`] when the body is not an array of objects.
    pub fn feed<E: From<ArrayError>>(&mut self, piece: &[u8], mut sink: impl ObjectSink<E>) -> Result<(), E> {
        let mut start = 0;
        let mut at = 0;
        while at < piece.len() {
            match self.state {
                SplitterState::Text => {
                    let Some(found) = memchr::memchr2(b'"', b'\\', &piece[at..]) else {
                        break;
                    };
                    at += found;
                    self.state = if piece[at] == b'"' { SplitterState::Object } else { SplitterState::Escape };
                }
                SplitterState::Escape => self.state = SplitterState::Text,
                SplitterState::Object => match piece[at] {
                    b'"' => self.state = SplitterState::Text,
                    b'{' | b'[' => self.open(at)?,
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            let end = &piece[start..=at];
                            if self.partial.is_empty() {
                                sink.object(end)?;
                            } else {
                                self.partial.extend_from_slice(end);
                                sink.object(&self.partial)?;
                                self.partial.clear();
                            }
                            self.state = SplitterState::Between;
                        }
                    }
                    _ => {}
                },
                SplitterState::Null(seen) => {
                    if NULL.get(seen) != Some(&piece[at]) {
                        let (found, at) = (char::from(piece[at]), self.consumed + at as u64);
                        return Err(ArrayError::Unexpected { expected: "an object", found, at }.into());
                    }
                    self.state = SplitterState::Null(seen + 1);
                    if seen + 1 == NULL.len() {
                        sink.object(b"{}")?;
                        self.state = SplitterState::Between;
                    }
                }
                SplitterState::Start
                | SplitterState::First
                | SplitterState::Next
                | SplitterState::Between
                | SplitterState::End => {
                    if !piece[at].is_ascii_whitespace() {
                        start = at;
                        self.outside(piece[at], at)?;
                        if let Some(length) = self.begins_object().then(|| sink.known(&piece[at..])).flatten() {
                            self.state = SplitterState::Between;
                            at += length;
                            continue;
                        }
                    }
                }
            }
            at += 1;
        }
        if matches!(self.state, SplitterState::Object | SplitterState::Text | SplitterState::Escape) {
            self.partial.extend_from_slice(&piece[start..]);
        }
        self.consumed += piece.len() as u64;
        Ok(())
    }

    /// Ends the body, which must be the end of the array.
    pub fn finish(self) -> Result<(), ArrayError> {
        match self.state {
            SplitterState::End => Ok(()),
            SplitterState::Start => Err(ArrayError::Empty),
            _ => Err(ArrayError::CutOff { at: self.consumed }),
        }
    }

    fn begins_object(&self) -> bool {
        self.state == SplitterState::Object
    }

    fn open(&mut self, at: usize) -> Result<(), ArrayError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(ArrayError::TooDeep { at: self.consumed + at as u64 });
        }
        Ok(())
    }

    fn outside(&mut self, byte: u8, at: usize) -> Result<(), ArrayError> {
        let at = self.consumed + at as u64;
        let unexpected = |expected| ArrayError::Unexpected { expected, found: char::from(byte), at };
        self.state = match (self.state, byte) {
            (SplitterState::Start, b'[') => SplitterState::First,
            (SplitterState::Start, _) => return Err(unexpected("a JSON array")),
            (SplitterState::First | SplitterState::Next, b'{') => {
                self.depth = 1;
                SplitterState::Object
            }
            (SplitterState::First | SplitterState::Next, b'n') => SplitterState::Null(1),
            (SplitterState::First | SplitterState::Between, b']') => SplitterState::End,
            (SplitterState::Between, b',') => SplitterState::Next,
            (SplitterState::First, _) => return Err(unexpected("an object or the end of the array")),
            (SplitterState::Next, _) => return Err(unexpected("an object")),
            (SplitterState::Between, _) => return Err(unexpected("a comma or the end of the array")),
            (SplitterState::End, _) => return Err(unexpected("nothing after the array")),
            (SplitterState::Object | SplitterState::Text | SplitterState::Escape | SplitterState::Null(_), _) => {
                unreachable!("handled where objects are read")
            }
        };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(body: &[u8], piece: usize) -> Result<Vec<String>, ArrayError> {
        let mut splitter = JsonArraySplitter::default();
        let mut objects = Vec::new();
        for piece in body.chunks(piece.max(1)) {
            splitter.feed(piece, |object: &[u8]| {
                objects.push(String::from_utf8_lossy(object).into_owned());
                Ok::<_, ArrayError>(())
            })?;
        }
        splitter.finish()?;
        Ok(objects)
    }

    const PAGE: &str = r#" [ {"a":"}]\"{","b":[1,{"c":[]}]} ,{"d":"\\"},{}
    ] "#;

    #[test]
    fn objects_are_found_whatever_the_pieces() {
        let expected = [r#"{"a":"}]\"{","b":[1,{"c":[]}]}"#, r#"{"d":"\\"}"#, "{}"];
        for piece in 1..=PAGE.len() {
            assert_eq!(split(PAGE.as_bytes(), piece).unwrap(), expected, "pieces of {piece}");
        }
        assert_eq!(split(b"[]", 1).unwrap(), [""; 0]);
    }

    #[test]
    fn a_null_is_an_object_without_keys() {
        for piece in 1..20 {
            assert_eq!(split(br#"[null , {"a":1},null]"#, piece).unwrap(), ["{}", r#"{"a":1}"#, "{}"]);
        }
        for broken in ["[nul]", "[nulls]", "[null{}]", "[null", "[n", "[{}null]", "[NULL]"] {
            assert!(split(broken.as_bytes(), 2).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_body_cut_off_anywhere_is_an_error() {
        let whole = PAGE.trim_end().len();
        for end in 0..whole {
            assert!(split(&PAGE.as_bytes()[..end], 7).is_err(), "cut at {end}");
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
            assert_eq!(split(body.as_bytes(), 64).unwrap_err().to_string(), message);
        }
        let deep = format!("[{}", "{\"a\":".repeat(100_000));
        assert!(matches!(split(deep.as_bytes(), 4096), Err(ArrayError::TooDeep { .. })));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_one_result(body in proptest::collection::vec(any::<u8>(), 0..200), piece in 1usize..50) {
            prop_assert_eq!(split(&body, piece).ok(), split(&body, body.len()).ok());
        }
    }
}
