//! The processor architectures of the daemon's image.

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
    /// 64-bit ARM.
    Arm64,
}

impl Architecture {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];
    /// That of this machine.
    pub const OWN: Self = if cfg!(target_arch = "aarch64") { Self::Arm64 } else { Self::Amd64 };
    /// The one that this machine emulates.
    pub const OTHER: Self = if cfg!(target_arch = "aarch64") { Self::Amd64 } else { Self::Arm64 };

    /// Its name among images.
    #[must_use]
    pub const fn image_name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Its name among compilers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }
}
