//! What holds for whatever a callback answers.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::{mutated::mutated_bytes, text};

const ANSWER: &[u8] =
    b"HTTP/1.1 503 Out of order\r\nContent-Type: text/plain\r\nX-Key: value\r\nContent-Length: 9\r\n\r\nnot today";

/// What a check makes of these bytes.
fn verdict_on(answer: &[u8]) -> Result<StatusCode, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (ours, mut theirs) = tokio::io::duplex(256 * 1024);
        let answering = async move {
            // The request, or the first part of it, comes before any answer.
            let _ = theirs.read(&mut [0; 4096]).await;
            let _ = theirs.write_all(answer).await;
        };
        let url = Url::parse("https://api.example.com/hook").unwrap();
        let request = request(&url, &[], 1, TraceContext::fresh()).unwrap();
        let mut seen =
            Seen { stage: Stage::Preparing, http_status: None, tls_version: None, certificate_expires_at: None };
        let (told, ()) = tokio::join!(exchange(ours, request, &mut seen), answering);
        told.map_err(|error| no_answer(&error))
    })
}

#[test]
fn the_answer_that_the_properties_start_from_is_a_valid_one() {
    assert_eq!(verdict_on(ANSWER), Ok(StatusCode::SERVICE_UNAVAILABLE));
}

proptest! {
    #[test]
    fn no_answer_of_a_callback_breaks_a_check_or_is_quoted(
        answer in prop_oneof![mutated_bytes(ANSWER.to_vec()), prop::collection::vec(any::<u8>(), 0..2000)]
    ) {
        let told = match verdict_on(&answer) {
            Ok(status) => verdict(status).unwrap_or_else(|failing| failing),
            Err(failing) => failing,
        };
        prop_assert!(told.chars().count() < 200 && !told.chars().any(text::is_unfit), "{}", told);
        prop_assert!(!told.contains("Out of order") && !told.contains("not today") && !told.contains("X-Key"), "{}", told);
    }
}
