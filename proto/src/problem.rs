//! Errors that people meet over gRPC: a code, a sentence, and the field that is wrong.

use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The request is wrong in one field; the way out stands in `message`.
pub fn invalid(field: &str, message: impl Into<String>) -> Status {
    let message = message.into();
    let details = ErrorDetails::with_bad_request_violation(field, message.clone());
    Status::with_error_details(
        Code::InvalidArgument,
        format!("{field}: {message}"),
        details,
    )
}

/// It may work later; the caller is told when to try again.
pub fn retry_later(code: Code, message: impl Into<String>, after: std::time::Duration) -> Status {
    Status::with_error_details(code, message, ErrorDetails::with_retry_info(Some(after)))
}

/// The field violations of an error, as `(field, description)`.
pub fn violations(status: &Status) -> Vec<(String, String)> {
    let details = status.get_details_bad_request();
    details
        .map(|bad| {
            bad.field_violations
                .into_iter()
                .map(|v| (v.field, v.description))
                .collect()
        })
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_travels_with_the_error() {
        let status = invalid("payload", "5,001 bytes, at most 5,000 are accepted");
        assert_eq!(status.code(), Code::InvalidArgument);
        assert_eq!(
            violations(&status).first().map(|v| v.0.as_str()),
            Some("payload")
        );
    }
}
