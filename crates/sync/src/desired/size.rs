//! Kubernetes' limits on the size of a Secret, and sizes in words.

use std::fmt;

use super::manifest::Manifest;

/// The largest data of a Secret in bytes, not in base64 (k8s.io/kubernetes, `MaxSecretSize`).
pub const DATA_LIMIT: usize = 1 << 20;
/// The largest annotations of an object in bytes, keys and values (k8s.io/apimachinery,
/// `TotalAnnotationSizeLimitB`).
pub const ANNOTATIONS_LIMIT: usize = 256 << 10;
/// The largest request to etcd in bytes, by default (go.etcd.io/etcd, `DefaultMaxRequestBytes`).
pub const REQUEST_LIMIT: usize = 3 << 19;

/// The sizes of the metadata of a pull Secret's copies, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MetadataSize {
    /// The annotations, as [`ANNOTATIONS_LIMIT`] counts them.
    pub annotations: usize,
    /// All metadata, as etcd stores it: the managed fields name each label and annotation again.
    pub stored: usize,
}

/// A number of bytes, in words. It is rounded up, so that what exceeds a limit never looks as if it were
/// within it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub usize);

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let (unit, name) = match bytes {
            0..1024 => return write!(formatter, "{bytes} bytes"),
            1024..1_048_576 => (1 << 10, "KiB"),
            _ => (1 << 20, "MiB"),
        };
        let hundredths = (bytes * 100).div_ceil(unit);
        write!(formatter, "{}", hundredths / 100)?;
        match hundredths % 100 {
            0 => {}
            tenth if tenth % 10 == 0 => write!(formatter, ".{}", tenth / 10)?,
            rest => write!(formatter, ".{rest:02}")?,
        }
        write!(formatter, " {name}")
    }
}

/// Why the API server would refuse a document, and the remedy; `None` if it fits into a Secret.
pub(crate) fn excess(manifest: &Manifest) -> Option<String> {
    let size = manifest.data_size;
    (size > DATA_LIMIT).then(|| {
        format!(
            "the document has {}, a Secret holds {}: split the pull Secret into several with fewer \
             hosts each",
            Size(size),
            Size(DATA_LIMIT)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_rounded_up_to_hundredths() {
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1 KiB"),
            (1025, "1.01 KiB"),
            (2662, "2.6 KiB"),
            (ANNOTATIONS_LIMIT, "256 KiB"),
            (ANNOTATIONS_LIMIT + 1, "256.01 KiB"),
            (DATA_LIMIT - 1, "1024 KiB"),
            (DATA_LIMIT, "1 MiB"),
            (DATA_LIMIT + 1, "1.01 MiB"),
            (REQUEST_LIMIT, "1.5 MiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), words);
        }
    }
}
