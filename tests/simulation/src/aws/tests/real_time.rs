use ecr_refresher_real_time_guard::guard;

use super::*;
use crate::watchdog::within_real_time;

/// Makes each kind of call on a guarded thread. Returns the backtrace of a stray read.
fn stray_read(change: impl FnOnce(SdkConfig) -> SdkConfig + Send + 'static) -> Option<String> {
    within_real_time(Duration::from_mins(1), "the AWS SDK", || {
        let guard = guard(1);
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let aws = aws();
            let sdk = change(sdk(&aws, keys("AKIA1"), REGION));
            only(ask_ecr_with(&sdk).await.unwrap());
            let public = aws_sdk_ecrpublic::Client::new(&sdk);
            public.get_authorization_token().send().await.unwrap();
            let sts = aws_sdk_sts::Client::new(&sdk);
            sts.get_caller_identity().send().await.unwrap();
            let role = "arn:aws:iam::210987654321:role/r";
            sts.assume_role().role_arn(role).role_session_name("night").send().await.unwrap();
            aws.lock().faults.push(FaultRule::always(Fault::Hanging));
            ask_ecr_with(&sdk).await.unwrap_err();
        });
        guard.stray_read()
    })
}

#[test]
fn an_sdk_with_a_time_source_does_not_read_the_real_clock() {
    assert_eq!(stray_read(|sdk| sdk), None);
}

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
#[test]
fn an_sdk_without_a_time_source_is_caught_reading_the_real_clock() {
    let backtrace = stray_read(|sdk| {
        let mut sdk = sdk.to_builder();
        sdk.set_time_source(None);
        sdk.build()
    });
    let backtrace = backtrace.unwrap();
    assert!(backtrace.contains("SystemTimeSource"), "{backtrace}");
}
