//! Prints the certificate authorities that the image trusts, in PEM.

use std::io::{self, Write};

fn main() -> io::Result<()> {
    io::stdout().lock().write_all(ecr_refresher_tests::authorities::pem().as_bytes())
}
