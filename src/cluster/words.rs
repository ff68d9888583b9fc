//! What the API server says, for people.

use kube::Error;

/// The error in the API server's own sentence: kube would put its type in front and all of the answer's fields behind.
pub fn words(error: &Error) -> String {
    match error {
        Error::Api(status) if !status.message.is_empty() => status.message.clone(),
        Error::Api(status) => format!("the API server answered {} {}", status.code, status.reason),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;
    use serde_json::json;

    use super::*;

    fn refused(answer: serde_json::Value) -> String {
        words(&Error::Api(Box::new(serde_json::from_value::<Status>(answer).unwrap())))
    }

    #[test]
    fn the_api_servers_sentence_is_all_that_is_shown() {
        let message = "cognigywebhooks.cognigy.io \"orders\" is forbidden";
        assert_eq!(
            refused(json!({"status": "Failure", "message": message, "reason": "Forbidden", "code": 403})),
            message
        );
    }

    #[test]
    fn an_answer_without_a_sentence_is_named_by_code_and_reason() {
        let told = refused(json!({"status": "Failure", "reason": "ServiceUnavailable", "code": 503}));
        assert_eq!(told, "the API server answered 503 ServiceUnavailable");
    }
}
