//! `ecr-refresher` keeps a fresh Amazon ECR pull Secret in every namespace that an allow-list names.

use std::process::ExitCode;

fn main() -> ExitCode {
    ecr_refresher::main()
}
