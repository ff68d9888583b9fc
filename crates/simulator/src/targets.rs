//! Places with a name that answer as a test tells them to: the common ground of callbacks and sinks.

use std::{collections::VecDeque, time::Duration};

use serde::{Deserialize, Serialize};

/// One programmed answer of a callback or a sink. The default is an immediate 200.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Wait before the answer, milliseconds.
    pub delay_ms: u64,
    /// Header fields.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: String,
    /// Fill the body up to this many bytes.
    pub body_bytes: usize,
    /// Never answer, until another answer is programmed.
    pub hang: bool,
    /// Close the connection without an answer.
    pub lose_connection: bool,
}

impl Default for Answer {
    fn default() -> Self {
        Self {
            status: 200,
            delay_ms: 0,
            headers: Vec::new(),
            body: String::new(),
            body_bytes: 0,
            hang: false,
            lose_connection: false,
        }
    }
}

impl Answer {
    /// 200.
    pub fn ok() -> Self {
        Self::default()
    }

    /// A status with an empty body.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// 302 to `location`.
    pub fn redirect(location: &str) -> Self {
        Self { status: 302, headers: vec![("location".into(), location.into())], ..Self::default() }
    }

    /// No answer, ever.
    pub fn hang() -> Self {
        Self { hang: true, ..Self::default() }
    }

    /// The connection is closed without an answer.
    pub fn lose_connection() -> Self {
        Self { lose_connection: true, ..Self::default() }
    }

    /// Wait before the answer.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self
    }

    /// A body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        body.clone_into(&mut self.body);
        self
    }

    /// A body of at least `bytes` bytes.
    #[must_use]
    pub fn huge(mut self, bytes: usize) -> Self {
        self.body_bytes = bytes;
        self
    }

    /// One more header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// A named place with its program and what reached it.
#[derive(Clone, Debug)]
pub(crate) struct Target<M> {
    queue: VecDeque<Answer>,
    standing: Answer,
    /// Changes with each new program, so that hanging requests end.
    pub(crate) program: u64,
    pub(crate) received: Vec<M>,
}

impl<M> Default for Target<M> {
    fn default() -> Self {
        Self { queue: VecDeque::new(), standing: Answer::default(), program: 0, received: Vec::new() }
    }
}

impl<M> Target<M> {
    /// From now on, always this answer.
    pub(crate) fn stand(&mut self, answer: Answer) {
        self.queue.clear();
        self.standing = answer;
        self.program += 1;
    }

    /// Each of these once, then the standing answer.
    pub(crate) fn queue(&mut self, answers: impl IntoIterator<Item = Answer>) {
        self.queue = answers.into_iter().collect();
        self.program += 1;
    }

    pub(crate) fn next_answer(&mut self) -> Answer {
        self.queue.pop_front().unwrap_or_else(|| self.standing.clone())
    }
}
