//! Static AWS keys in a folder of files, such as a mounted Secret.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use aws_credential_types::Credentials;
use zeroize::Zeroizing;

use super::keys::{self, KeyError, Part};
use crate::{FetchError, Reason};

/// How often a folder is read again when it is swapped while it is read.
const ATTEMPTS: usize = 3;

/// Why a folder gives no keys. None of these shows its content.
#[derive(Debug, thiserror::Error)]
enum DirectoryError {
    #[error("cannot read {name}: {error}")]
    Unreadable { name: &'static str, error: io::Error },
    #[error("{name} {error}")]
    Invalid { name: &'static str, error: KeyError },
}

/// Reads the keys of a folder: the files `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and, if there is
/// one, `AWS_SESSION_TOKEN`. Blank space and line breaks around what they hold are left out.
///
/// # Errors
/// `no_credentials`, when a file is missing, cannot be read, is empty, or holds what cannot be a key.
pub(super) fn read(directory: &Path) -> Result<Credentials, FetchError> {
    let mut attempts = 1;
    loop {
        let resolved = resolve(directory);
        match read_files(&resolved) {
            Ok(keys) => return Ok(keys),
            // The kubelet takes the old folder away as soon as it has swapped in the new one.
            Err(_) if attempts < ATTEMPTS && resolve(directory) != resolved => attempts += 1,
            Err(error) => {
                let message = format!(
                    "{}: {error}; the directory of `credentialsDirectory` needs the files \
                     AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                    directory.display()
                );
                return Err(FetchError::new(Reason::NoCredentials, message));
            }
        }
    }
}

/// The folder that the files of a mounted Secret really are in, which the link `..data` names. It is
/// looked up once for all files: between two of them the kubelet may swap it.
fn resolve(directory: &Path) -> PathBuf {
    fs::canonicalize(directory.join("..data")).unwrap_or_else(|_| directory.to_owned())
}

fn read_files(directory: &Path) -> Result<Credentials, DirectoryError> {
    let id = read_file(directory, Part::AccessKeyId)?;
    let secret = read_file(directory, Part::SecretAccessKey)?;
    let session = match read_file(directory, Part::SessionToken) {
        Ok(token) => Some(token.to_string()),
        Err(DirectoryError::Invalid { error: KeyError::Empty, .. }) => None,
        Err(DirectoryError::Unreadable { error, .. })
            if error.kind() == io::ErrorKind::NotFound =>
        {
            None
        }
        Err(error) => return Err(error),
    };
    Ok(Credentials::new(&**id, &**secret, session, None, "credentialsDirectory"))
}

fn read_file(directory: &Path, part: Part) -> Result<Zeroizing<String>, DirectoryError> {
    let name = part.variable();
    let text = fs::read_to_string(directory.join(name)).map(Zeroizing::new);
    let text = text.map_err(|error| DirectoryError::Unreadable { name, error })?;
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    keys::check(text).map_err(|error| DirectoryError::Invalid { name, error })?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn write(folder: &Path, id: &str, secret: &str) {
        fs::create_dir_all(folder).unwrap();
        fs::write(folder.join("AWS_ACCESS_KEY_ID"), id).unwrap();
        fs::write(folder.join("AWS_SECRET_ACCESS_KEY"), secret).unwrap();
    }

    #[test]
    fn keys_are_read_without_the_blank_space_around_them() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "AKIA1\n", " hunter2\r\n");
        let keys = read(folder.path()).unwrap();
        assert_eq!((keys.access_key_id(), keys.secret_access_key()), ("AKIA1", "hunter2"));
        assert_eq!(keys.session_token(), None);
        fs::write(folder.path().join("AWS_SESSION_TOKEN"), "token\n").unwrap();
        assert_eq!(read(folder.path()).unwrap().session_token(), Some("token"));
    }

    #[test]
    fn an_error_names_the_file_and_shows_no_key() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "AKIA1", "\n");
        let error = read(folder.path()).unwrap_err();
        assert_eq!(error.reason, Reason::NoCredentials);
        assert!(error.message.contains("AWS_SECRET_ACCESS_KEY is empty"), "{error}");
        let error = read(&folder.path().join("none")).unwrap_err();
        assert!(error.message.contains("cannot read AWS_ACCESS_KEY_ID"), "{error}");
    }

    #[test]
    fn what_cannot_be_a_key_is_refused_by_the_name_of_its_file() {
        let folder = tempfile::tempdir().unwrap();
        for (id, secret, words) in [
            ("\u{feff}AKIA1", "hunter2", "AWS_ACCESS_KEY_ID has a byte order mark"),
            ("AKIA1", "hunter2\nhunter3\n", "AWS_SECRET_ACCESS_KEY has a line break"),
            ("AKIA1", "hunter2\0", "AWS_SECRET_ACCESS_KEY has a control character"),
        ] {
            write(folder.path(), id, secret);
            let error = read(folder.path()).unwrap_err();
            assert_eq!(error.reason, Reason::NoCredentials);
            assert!(error.message.contains(words) && !error.message.contains("hunter"), "{error}");
        }
        fs::write(folder.path().join("AWS_SECRET_ACCESS_KEY"), b"hunter2\xff").unwrap();
        let error = read(folder.path()).unwrap_err();
        assert!(error.message.contains("cannot read AWS_SECRET_ACCESS_KEY"), "{error}");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_only_keys_are_read(
            bytes in prop_oneof![vec(any::<u8>(), 0..30), "[!-~]{1,30}[ \t\r\n]{0,3}".prop_map(String::into_bytes)],
        ) {
            let folder = tempfile::tempdir().unwrap();
            write(folder.path(), "AKIA1", "");
            fs::write(folder.path().join("AWS_SECRET_ACCESS_KEY"), &bytes).unwrap();
            match read(folder.path()) {
                Ok(keys) => prop_assert_eq!(keys::check(keys.secret_access_key()), Ok(())),
                Err(error) => prop_assert_eq!(error.reason, Reason::NoCredentials),
            }
        }
    }

    #[test]
    fn no_pair_is_torn_while_the_kubelet_swaps_the_folder() {
        let mount = tempfile::tempdir().unwrap();
        let mount = mount.path().to_owned();
        write(&mount.join("..0"), "id-0", "secret-0");
        symlink("..0", mount.join("..data")).unwrap();
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
            symlink(Path::new("..data").join(name), mount.join(name)).unwrap();
        }
        let swapped = mount.clone();
        let kubelet = std::thread::spawn(move || {
            for number in 1..200 {
                write(
                    &swapped.join(format!("..{number}")),
                    &format!("id-{number}"),
                    &format!("secret-{number}"),
                );
                symlink(format!("..{number}"), swapped.join("..data_tmp")).unwrap();
                fs::rename(swapped.join("..data_tmp"), swapped.join("..data")).unwrap();
            }
        });
        while !kubelet.is_finished() {
            let keys = read(&mount).unwrap();
            let number = keys.access_key_id().strip_prefix("id-").unwrap();
            assert_eq!(keys.secret_access_key(), format!("secret-{number}"));
        }
        kubelet.join().unwrap();
    }
}
