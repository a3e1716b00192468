use aws_sdk_ecr::error::ProvideErrorMetadata;
use jiff::SignedDuration;

use super::*;

fn refusing(refusal: Refusal) -> SimulatedAws {
    aws_with(FaultRule::always(Fault::Refused(refusal)))
}

/// The status and the code of ECR's error.
async fn error_of_ecr(refusal: Refusal) -> (u16, String) {
    let error = ask_ecr(&refusing(refusal)).await.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    (status, error.code().unwrap().to_owned())
}

/// The status and the code of the error of STS.
async fn error_of_sts(refusal: Refusal) -> (u16, String) {
    let aws = refusing(refusal);
    let error = sts(&aws, keys("AKIA1")).get_caller_identity().send().await.unwrap_err();
    let status = error.raw_response().unwrap().status().as_u16();
    (status, error.code().unwrap().to_owned())
}

#[tokio::test(start_paused = true)]
async fn each_refusal_has_the_code_and_status_of_the_service() {
    let too_many = Refusal::TooManyRequests { retry_after: None };
    for (refusal, ecr, sts) in [
        (Refusal::Throttling, (400, "ThrottlingException"), (400, "Throttling")),
        (Refusal::Throttle, (400, "ThrottleException"), (400, "ThrottleException")),
        (too_many, (429, "TooManyRequestsException"), (429, "TooManyRequestsException")),
        (Refusal::AccessDenied, (400, "AccessDeniedException"), (403, "AccessDenied")),
        (Refusal::ExpiredCredentials, (400, "ExpiredTokenException"), (403, "ExpiredToken")),
        (
            Refusal::UnrecognizedCredentials,
            (400, "UnrecognizedClientException"),
            (403, "InvalidClientTokenId"),
        ),
        (Refusal::ServerError, (500, "ServerException"), (500, "InternalFailure")),
        (
            Refusal::ServiceUnavailable,
            (503, "ServiceUnavailableException"),
            (503, "ServiceUnavailable"),
        ),
    ] {
        assert_eq!(error_of_ecr(refusal.clone()).await, (ecr.0, ecr.1.to_owned()));
        assert_eq!(error_of_sts(refusal).await, (sts.0, sts.1.to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn ecr_public_refuses_as_ecr_does() {
    let error = ask_public(&refusing(Refusal::Throttling)).await.unwrap_err();
    assert_eq!(error.code(), Some("ThrottlingException"));
}

#[tokio::test(start_paused = true)]
async fn a_denial_names_the_identity_the_action_and_the_resource() {
    let aws = refusing(Refusal::AccessDenied);
    let error = ask_ecr(&aws).await.unwrap_err();
    let expected = format!(
        "User: {USER_ARN} is not authorized to perform: ecr:GetAuthorizationToken on resource: *"
    );
    let message = error.message().unwrap();
    assert!(message.starts_with(&expected), "{message}");
    let role = "arn:aws:iam::210987654321:role/puller";
    let error = assume(&aws, role).await.unwrap_err();
    let message = error.message().unwrap();
    assert!(message.contains(&format!("sts:AssumeRole on resource: {role}")), "{message}");
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_a_header() {
    let aws = refusing(Refusal::TooManyRequests { retry_after: Some(7) });
    let error = ask_ecr(&aws).await.unwrap_err();
    assert_eq!(error.raw_response().unwrap().headers().get("retry-after"), Some("7"));
}

#[tokio::test(start_paused = true)]
async fn a_request_with_a_wrong_date_is_refused_when_dates_are_checked() {
    let aws = aws();
    // The clients' clock stays at the start of the run.
    aws.lock().date_tolerance = Some(SignedDuration::from_mins(5));
    ask_ecr(&aws).await.unwrap();
    tokio::time::sleep(Duration::from_mins(6)).await;
    let error = ask_ecr(&aws).await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidSignatureException"));
    let message = error.message().unwrap();
    assert!(message.starts_with("Signature expired: 20270115T080000Z is now earlier"), "{message}");
    let error = sts(&aws, keys("AKIA1")).get_caller_identity().send().await.unwrap_err();
    assert_eq!(error.code(), Some("SignatureDoesNotMatch"));
    aws.lock().clock_ahead = -SignedDuration::from_mins(30);
    let error = ask_ecr(&aws).await.unwrap_err();
    assert!(error.message().unwrap().starts_with("Signature not yet current"), "{error:?}");
    aws.lock().date_tolerance = None;
    ask_ecr(&aws).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_is_not_simulated_is_refused_and_logged() {
    let aws = aws();
    let sdk = sdk(&aws, keys("AKIA1"), REGION);
    let error = aws_sdk_ecr::Client::new(&sdk).describe_registry().send().await.unwrap_err();
    assert_eq!(error.code(), Some("UnknownOperationException"));
    assert_eq!(aws.lock().calls.drain()[0].operation, Operation::Other);
}
