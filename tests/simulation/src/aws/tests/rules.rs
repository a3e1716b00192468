use super::*;

async fn ask(aws: &SimulatedAws, key: &str, region: &str) -> bool {
    ask_ecr_with(&sdk(aws, keys(key), region)).await.is_ok()
}

#[tokio::test(start_paused = true)]
async fn a_rule_can_be_for_one_region() {
    let aws = aws_with(FaultRule::always(Fault::Down).in_region("us-east-2"));
    assert!(ask(&aws, "AKIA1", REGION).await);
    assert!(!ask(&aws, "AKIA1", "us-east-2").await);
}

#[tokio::test(start_paused = true)]
async fn a_rule_can_be_for_one_account() {
    let aws = aws_with(FaultRule::always(Fault::Down).of_account("222222222222"));
    let identity =
        Identity { account: "222222222222".into(), arn: "arn:aws:iam::222222222222:user/b".into() };
    aws.lock().identities.keys.insert("AKIA2".into(), identity);
    assert!(ask(&aws, "AKIA1", REGION).await);
    assert!(!ask(&aws, "AKIA2", REGION).await);
}

#[tokio::test(start_paused = true)]
async fn a_rule_can_be_for_one_service_or_one_replica() {
    let aws = aws_with(FaultRule::always(Fault::Down).of_service(Service::EcrPublic));
    assert!(ask_ecr(&aws).await.is_ok());
    assert!(ask_public(&aws).await.is_err());
    let aws = aws_with(FaultRule::always(Fault::Down).for_caller("replica-1"));
    assert!(ask_ecr(&aws).await.is_ok());
    let other = sdk(&aws, keys("AKIA1"), REGION).to_builder();
    let other = other.http_client(aws.http_client("replica-1")).build();
    assert!(ask_ecr_with(&other).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_of_a_thousand_calls() {
    let aws = aws_with(FaultRule::sometimes(Fault::Down, 250));
    let mut failed = 0;
    for _ in 0..1000 {
        failed += u32::from(ask_ecr(&aws).await.is_err());
    }
    assert!((200..300).contains(&failed), "{failed} of 1,000");
    aws.lock().faults = vec![FaultRule::sometimes(Fault::Down, 0)];
    assert!(ask_ecr(&aws).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn faults_may_change_at_any_time() {
    let aws = aws_with(FaultRule::always(Fault::Down));
    assert!(ask_ecr(&aws).await.is_err());
    aws.lock().faults.clear();
    assert!(ask_ecr(&aws).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn delays_add_up_and_the_first_other_rule_applies() {
    let time = TrueTime::begin();
    let aws = aws();
    aws.lock().faults = vec![
        FaultRule::always(Fault::Slow(Duration::from_secs(1))),
        FaultRule::always(Fault::Slow(Duration::from_secs(2))),
        FaultRule::always(Fault::Refused(Refusal::Throttling)),
        FaultRule::always(Fault::Refused(Refusal::AccessDenied)),
    ];
    let error = ask_ecr(&aws).await.unwrap_err();
    assert_eq!(aws_sdk_ecr::error::ProvideErrorMetadata::code(&error), Some("ThrottlingException"));
    assert_eq!(time.elapsed().as_secs(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_rule_does_not_apply_to_an_operation_that_cannot_have_its_fault() {
    let aws = aws_with(FaultRule::always(Fault::OtherRegion("us-east-2".into())));
    ask_public(&aws).await.unwrap();
    sts(&aws, keys("AKIA1")).get_caller_identity().send().await.unwrap();
    assert!(aws.lock().tokens.all().all(|token| token.delivered));
}
